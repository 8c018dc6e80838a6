//! Runs and ledgers: one thread reads and converts, the store writes what it has finished meanwhile.

use ag_engine::workflows::Found;
use ag_store::{ImportBatch, Segment};
use ag_types::RunId;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    apply::{Step, WRITE},
    convert::{self, Remarks, Surroundings},
    digest::Digest,
    flows::Executes,
    plan,
    report::{Report, Stored},
};
use crate::{
    ImportError,
    json::{self, Repairs},
};

/// Bytes of ledgers and states in one transaction, roughly.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Runs in one transaction.
const BATCH_RUNS: usize = 512;
/// Runs that are looked up at a time.
const LOOK_UP: usize = 256;
/// Transactions that may wait for the store: bounds the memory.
const AHEAD: usize = 2;

/// What the reading thread learnt.
#[derive(Default)]
struct Learnt {
    unreadable: Vec<(String, String)>,
    cannot_continue: Vec<(String, String)>,
    warnings: Vec<String>,
    repairs: Repairs,
    records: u64,
}

/// Stores the runs of a plane that are not stored yet.
pub(super) async fn store(step: &Step, report: &mut Report, stored: &mut Stored) -> Result<(), ImportError> {
    let (sender, mut batches) = mpsc::channel(AHEAD);
    let reader = {
        let (step, handle) = (step.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let mut reader = Reader {
                step: &step,
                handle,
                sender,
                batch: ImportBatch::default(),
                bytes: 0,
                learnt: Learnt::default(),
                done: 0,
            };
            reader.read().map(|()| reader.learnt)
        })
    };
    let mut failed = None;
    while let Some(batch) = batches.recv().await {
        ag_failpoints::hit_of(WRITE, &["runs"]);
        match step.target.imports.import(&step.scope, batch).await {
            Ok(counts) => stored.rows += counts,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    // The reader notices that nobody listens any more.
    drop(batches);
    let learnt = reader.await.map_err(|_| ImportError::Interrupted)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let learnt = learnt?;
    stored.records += learnt.records;
    if report.records == 0 {
        // The plan did not read the ledgers; the states were read twice.
        report.repairs = learnt.repairs;
    }
    for entry in learnt.unreadable {
        if !report.unreadable.contains(&entry) {
            report.unreadable.push(entry);
        }
    }
    for (run, reason) in learnt.cannot_continue {
        if !report.cannot_continue.iter().any(|(known, _)| *known == run) {
            report.cannot_continue.push((run, reason));
        }
    }
    for warning in learnt.warnings {
        report.warn(warning);
    }
    Ok(())
}

struct Reader<'a> {
    step: &'a Step,
    handle: Handle,
    sender: mpsc::Sender<ImportBatch>,
    batch: ImportBatch,
    bytes: usize,
    learnt: Learnt,
    done: u64,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), ImportError> {
        let plan = &self.step.plan;
        let mut source = plan::open(&plan.folder)?;
        let unit = source.unit();
        self.step.progress.begin("ledgers", plan.ledger_total, unit);
        let ids = source.run_ids()?;
        let known = ids.into_iter().filter_map(|id| {
            let run = id.parse::<RunId>().ok()?;
            plan.runs.contains_key(&run).then_some((id, run))
        });
        let known: Vec<(String, RunId)> = known.collect();
        for chunk in known.chunks(LOOK_UP) {
            let keys: Vec<RunId> = chunk.iter().map(|(_, run)| *run).collect();
            let imports = &self.step.target.imports;
            let stored = self
                .handle
                .block_on(imports.stored_runs(&self.step.scope, &keys))?;
            for (id, run) in chunk {
                if !stored.contains(run) {
                    self.run(&mut *source, id, *run)?;
                }
            }
        }
        self.flush()?;
        self.step.progress.end();
        Ok(())
    }

    fn run(
        &mut self,
        source: &mut dyn super::source::Source,
        id: &str,
        run: RunId,
    ) -> Result<(), ImportError> {
        let Some(info) = self.step.plan.runs.get(&run) else {
            return Ok(());
        };
        let mut digest = Digest::default();
        let (mut repairs, mut cut) = (Repairs::default(), 0u64);
        source.ledger(id, &mut |line, size| {
            let text = json::utf8(line, &mut repairs);
            cut += u64::from(json::values(&text, &mut repairs, |record| {
                if record.starts_with('{') {
                    digest.push(&record);
                }
            }));
            self.done += size;
            if digest.weight() > BATCH_BYTES {
                self.long_ledger(run, digest.take_closed())?;
            }
            Ok(())
        })?;
        if cut > 0 {
            self.learnt.warnings.push(format!(
                "run {id}: {cut} ledger lines are cut off; what can be read of them is kept"
            ));
        }
        self.learnt.repairs += repairs;
        self.step.progress.advance(self.done);
        let Some(bytes) = source.run(id)? else {
            return Ok(());
        };
        let plan = &self.step.plan;
        let executes = plan.executes(run);
        let foreign_types = self.foreign_types(id, &info.workflow, &executes, info.status.is_terminal());
        let parent = info.parent.and_then(|parent| plan.runs.get(&parent));
        let around = Surroundings {
            info,
            executes,
            depth: plan.depth(run),
            report_traces: parent.is_some_and(|parent| parent.waits_for == Some((run, true))),
            foreign_types,
            paths: &self.step.paths(),
        };
        let mut remarks = Remarks::default();
        let text = json::document(&bytes, &mut self.learnt.repairs).map_err(|error| error.to_string());
        let converted = text.and_then(|text| convert::run(run, &text, &mut digest, &around, &mut remarks));
        match converted {
            Ok(converted) => {
                if remarks.garbled_until {
                    self.learnt.warnings.push(format!(
                        "run {id} waits until something that is no time, that is for ever"
                    ));
                }
                self.learnt.records += digest.records.unsigned_abs();
                self.bytes += converted.columns.vars.len() + weight(&converted.segments);
                self.batch.spans.append(&mut remarks.spans);
                self.batch.runs.push(converted);
                if self.bytes > BATCH_BYTES || self.batch.runs.len() >= BATCH_RUNS {
                    self.flush()?;
                }
            }
            Err(reason) => self.learnt.unreadable.push((id.to_owned(), reason)),
        }
        Ok(())
    }

    /// Node types that this program treats as identity functions, once and for all; and whether the workflow compiles.
    fn foreign_types(
        &mut self,
        id: &str,
        workflow: &str,
        executes: &Executes,
        terminal: bool,
    ) -> Vec<String> {
        let sha = match executes {
            Executes::Bundle(sha) => Some(&**sha),
            Executes::Stored => None,
            Executes::Nothing => return Vec::new(),
        };
        if terminal {
            return Vec::new();
        }
        let workflows = &self.step.target.deps.workflows;
        match self
            .handle
            .block_on(workflows.get(&self.step.scope, workflow, sha))
        {
            Ok(Found::Workflow(workflow)) => workflow
                .unknown_types()
                .iter()
                .map(|name| name.to_string())
                .collect(),
            Ok(Found::Missing(reason)) => {
                self.learnt.cannot_continue.push((id.to_owned(), reason));
                Vec::new()
            }
            Err(error) => {
                self.learnt
                    .cannot_continue
                    .push((id.to_owned(), error.to_string()));
                Vec::new()
            }
        }
    }

    /// A ledger that does not fit into one transaction goes first; its run follows when it is complete.
    fn long_ledger(&mut self, run: RunId, segments: Vec<Segment>) -> Result<(), ImportError> {
        self.flush()?;
        self.batch.ledgers.push((run, segments));
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.sender
            .blocking_send(batch)
            .map_err(|_| ImportError::Interrupted)
    }
}

fn weight(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| segment.lines.len()).sum()
}
