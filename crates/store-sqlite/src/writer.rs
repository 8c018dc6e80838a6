//! The only writer.
//!
//! One thread owns the writing connection. It takes all that is queued, turns it into one transaction, answers, and
//! takes what queued meanwhile: under load transactions grow, when idle a write is alone. Because nobody else writes,
//! what it has read stays true until its own transaction changes it; therefore reading (`load`), deciding (`plan`,
//! pure) and writing (`flush`) are separate steps and only the last is inside the transaction.
//!
//! Owners and ready runs in memory change right *after* the commit, under the mutex that claims take. A claim takes
//! only what is in the ready set, and a run gets there only after the transaction that made it ready or released it
//! has committed; so the state that a claim reads is never older than the last commit of the former holder, and no
//! claim can slip between a commit and its release.

mod direct;
mod effects;
mod flush;
mod load;
mod op;
mod plan;
mod state;
mod statements;

use std::{collections::VecDeque, fs::File, sync::Arc};

use ag_store::Result;
use ag_telemetry::metrics::COMMIT_BATCH;
use tokio::sync::mpsc;

pub(crate) use op::{Answer, Import, Job, Op};

use crate::{checkpoint::Log, db::Db, store::Shared, writer::state::Planes};

/// Every statement of the shared plan, for the test of their plans.
#[cfg(test)]
pub(crate) fn statements_for_test() -> Vec<&'static str> {
    let mut all: Vec<_> = statements::Statement::ALL
        .iter()
        .map(|statement| statement.sql())
        .collect();
    all.extend(load::STATEMENTS);
    all
}

/// Write sets in one transaction.
const BATCH: usize = 256;
/// Times that others get the processor before a transaction begins.
const YIELDS: usize = 4;
/// Payload bytes in one transaction.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// See the module.
pub(crate) struct Writer {
    db: Db,
    /// Held until the last write is done.
    _lock: File,
    shared: Arc<Shared>,
    log: Arc<Log>,
    /// Bytes written since the last ring for a checkpoint.
    written: u64,
    planes: Planes,
}

impl Writer {
    pub(crate) fn new(db: Db, lock: File, shared: Arc<Shared>, log: Arc<Log>) -> Self {
        Self {
            db,
            _lock: lock,
            shared,
            log,
            written: 0,
            planes: Planes::default(),
        }
    }

    /// Runs until the queue closes or a close is asked for.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match queue.blocking_recv() {
                    Some(job) => waiting.push_back(job),
                    None => break,
                }
            }
            gather(&mut queue, &mut waiting);
            let batch = take_batch(&mut waiting);
            if let [Job { op: Op::Close, .. }] = batch.as_slice() {
                queue.close();
                let marked = self.mark_clean();
                for job in batch {
                    let _ = job.reply.send(marked.clone().map(|()| Answer::Done));
                }
                break;
            }
            self.write(batch);
        }
    }

    /// One transaction for all; if it fails, one for each, so that only the bad one fails.
    fn write(&mut self, batch: Vec<Job>) {
        COMMIT_BATCH.with([]).record(batch.len() as f64);
        let weight = batch.iter().map(|job| job.op.weight()).sum();
        let ops: Vec<&Op> = batch.iter().map(|job| &job.op).collect();
        let mut answers = self.transact(&ops, false);
        if answers.is_err() {
            let mut singly = Vec::with_capacity(ops.len());
            for op in ops {
                singly.push(match self.transact(&[op], true) {
                    Ok(mut answers) => answers.pop().unwrap_or(Ok(Answer::Done)),
                    Err(error) => Err(error),
                });
            }
            answers = Ok(singly);
        }
        for (job, answer) in batch.into_iter().zip(answers.unwrap_or_default()) {
            // A caller that went away does not undo its write.
            let _ = job.reply.send(answer);
        }
        self.note_written(weight);
    }

    /// `careful` looks for what a repeated start has written before, which the normal case does not pay for.
    fn transact(&mut self, ops: &[&Op], careful: bool) -> Result<Vec<Result<Answer>>> {
        if let [op] = ops
            && op.is_direct()
        {
            return self.direct(op).map(|answer| vec![Ok(answer)]);
        }
        let mut state = self.load(ops, careful)?;
        let planned = plan::plan(&mut state, ops);
        self.flush(&state, planned.writes)?;
        effects::apply(&self.shared, &state, &planned.preempts);
        self.planes.extend(state.planes);
        Ok(planned.answers)
    }

    /// Asks for a checkpoint each time enough has been written. A transaction writes whole pages, so a small one
    /// counts as some of them.
    fn note_written(&mut self, weight: usize) {
        let bytes = 32 * 1024 + 2 * u64::try_from(weight).unwrap_or(u64::MAX / 4);
        self.log.grow(bytes);
        self.written += bytes;
        if self.written >= self.log.step() {
            self.written = 0;
            self.log.ring();
            self.log.limit(&self.db);
        }
    }

    fn mark_clean(&self) -> Result<()> {
        self.db
            .batch("UPDATE store_state SET clean_shutdown = 1; PRAGMA wal_checkpoint(TRUNCATE);")
    }
}

/// Takes what is queued. While that brings something, whoever is about to queue more gets the processor first: where all
/// cores are busy, a transaction is shared by more callers, and where one is idle it costs a few system calls.
fn gather(queue: &mut mpsc::Receiver<Job>, waiting: &mut VecDeque<Job>) {
    for _ in 0..YIELDS {
        let before = waiting.len();
        while waiting.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            waiting.push_back(job);
        }
        if waiting.len() == BATCH || (waiting.len() == before && before > 1) {
            return;
        }
        std::thread::yield_now();
    }
}

/// The next transaction: consecutive run writes up to the limits, or one other operation.
fn take_batch(waiting: &mut VecDeque<Job>) -> Vec<Job> {
    let mut bytes = 0;
    let mut take = 0;
    for job in waiting.iter() {
        let alone = job.op.is_direct() || matches!(job.op, Op::Close);
        bytes += job.op.weight();
        if take > 0 && (alone || bytes > BATCH_BYTES) {
            break;
        }
        take += 1;
        if alone {
            break;
        }
    }
    waiting.drain(..take).collect()
}
