//! One writer task per kind of hot write. It sends all that is queued as one call of one function; what comes
//! meanwhile is the next batch. One transaction of a kind and group is in flight at a time.

mod claims;
mod commits;
mod more;
mod posts;
mod starts;

pub(crate) use claims::{ClaimJob, Claims};
pub(crate) use commits::Commits;
pub(crate) use posts::{Post, Posts};
pub(crate) use starts::{StartJob, Starts};

use std::{collections::BTreeMap, time::Duration};

use ag_store::{Result, StoreError};
use ag_telemetry::metrics::COMMIT_BATCH;
use futures::future::join_all;
use sqlx::postgres::PgRow;
use tokio::sync::{mpsc, oneshot};

use crate::{
    arrays::Statement,
    connections::Lent,
    error::{Fate, fate},
    stamp::Stamp,
    store::Database,
};

/// Calls that share a transaction at most.
const BATCH: usize = 64;
/// Bytes that share a transaction at most.
const BATCH_BYTES: usize = 1 << 20;
/// A call larger than this goes alone.
const ALONE_BYTES: usize = 256 << 10;
/// How often a batch lets the other tasks of the process go first, as long as that brings more of them along.
const YIELDS: usize = 4;
/// Calls that may wait before senders are held back.
const QUEUE: usize = 4096;
/// A server that has not answered by then is taken for lost; above every statement timeout.
const DEADLINE: Duration = Duration::from_secs(15);

/// A kind of hot write.
pub(crate) trait Kind: Sized + Send + Sync + 'static {
    type Job: Send + Sync + 'static;
    type Answer: Send + 'static;
    /// Whether the same call may be sent again to learn what became of it.
    const REPEATABLE: bool = true;

    /// Bytes of a call, roughly.
    fn weight(job: &Self::Job) -> usize;
    /// Calls of different groups never share a transaction.
    fn group(_: &Self::Job) -> i64 {
        0
    }
    /// Called when the caller went away before it got its answer.
    fn undelivered(_: &Database, _: &Self::Job, _: Self::Answer) {}
    /// The statement that writes the calls.
    fn statement(now: Option<Stamp>, jobs: &[Self::Job]) -> sqlx::Result<Statement<'static>>;
    /// What its rows answer to each call, in order.
    fn answers(jobs: &[Self::Job], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Self::Answer>>>;
}

struct Queued<K: Kind> {
    job: K::Job,
    reply: oneshot::Sender<Result<K::Answer>>,
}

/// The sending side of a writer; the task ends when it is dropped.
pub(crate) struct Batcher<K: Kind> {
    queue: mpsc::Sender<Queued<K>>,
}

impl<K: Kind> Batcher<K> {
    pub(crate) fn spawn(database: Database) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(run::<K>(database, jobs));
        Self { queue }
    }

    /// Queues a call and waits for its transaction.
    pub(crate) async fn send(&self, job: K::Job) -> Result<K::Answer> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Queued { job, reply })
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// The connection that a writer keeps between batches.
type Kept = Option<Lent>;

async fn run<K: Kind>(database: Database, mut jobs: mpsc::Receiver<Queued<K>>) {
    let (mut held, mut kept) = (None, None);
    // Who closes waits for the connection kept here.
    let closing = database.connections.closing();
    tokio::pin!(closing);
    loop {
        let first = match held.take() {
            Some(queued) => queued,
            None => tokio::select! {
                queued = jobs.recv() => match queued {
                    Some(queued) => queued,
                    None => return,
                },
                () = &mut closing => return,
            },
        };
        let mut bytes = K::weight(&first.job);
        let mut batch = vec![first];
        for turn in 0..=YIELDS {
            let before = batch.len();
            held = fill(&mut jobs, &mut batch, &mut bytes);
            if held.is_some() || is_full(&batch, bytes) || (turn > 0 && batch.len() == before) {
                break;
            }
            tokio::task::yield_now().await;
        }
        COMMIT_BATCH.with([]).record(batch.len() as f64);
        write_batch(&database, &mut kept, batch).await;
    }
}

/// Takes what is queued and fits; the first that does not fit begins the next batch.
fn fill<K: Kind>(
    jobs: &mut mpsc::Receiver<Queued<K>>,
    batch: &mut Vec<Queued<K>>,
    bytes: &mut usize,
) -> Option<Queued<K>> {
    while !is_full(batch, *bytes) {
        let next = jobs.try_recv().ok()?;
        let weight = K::weight(&next.job);
        if weight > ALONE_BYTES || *bytes + weight > BATCH_BYTES {
            return Some(next);
        }
        *bytes += weight;
        batch.push(next);
    }
    None
}

fn is_full<T>(batch: &[T], bytes: usize) -> bool {
    batch.len() == BATCH || (batch.len() == 1 && bytes > ALONE_BYTES)
}

/// Writes the groups of a batch at the same time.
async fn write_batch<K: Kind>(database: &Database, kept: &mut Kept, batch: Vec<Queued<K>>) {
    let mut groups: BTreeMap<i64, (Vec<K::Job>, Vec<_>)> = BTreeMap::new();
    for Queued { job, reply } in batch {
        let (jobs, replies) = groups.entry(K::group(&job)).or_default();
        jobs.push(job);
        replies.push(reply);
    }
    let alone = groups.len() == 1;
    let mut own = alone.then(|| kept.take()).flatten();
    let written = groups.into_values().map(|(jobs, replies)| {
        let mut kept = own.take();
        async move {
            let answers = write_group::<K>(database, &mut kept, &jobs).await;
            for ((job, reply), answer) in jobs.iter().zip(replies).zip(answers) {
                if let Err(Ok(answer)) = reply.send(answer) {
                    K::undelivered(database, job, answer);
                }
            }
            kept
        }
    });
    let used = join_all(written).await;
    if alone {
        *kept = used.into_iter().next().flatten();
    }
}

async fn write_group<K: Kind>(
    database: &Database,
    kept: &mut Kept,
    jobs: &[K::Job],
) -> Vec<Result<K::Answer>> {
    match repeated::<K>(database, kept, jobs).await {
        Ok(answers) => answers,
        // One bad call spoils the transaction of all: each goes alone, so that only the bad one fails.
        Err((Fate::RolledBack | Fate::Conflict, _)) if jobs.len() > 1 => {
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                let alone = repeated::<K>(database, kept, std::slice::from_ref(job)).await;
                answers.push(alone.map_or_else(|(_, error)| Err(error), first));
            }
            answers
        }
        Err((_, error)) => jobs.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn first<T>(answers: Vec<Result<T>>) -> Result<T> {
    let nothing = || {
        Err(StoreError::Internal(
            "the store function answered nothing".to_owned(),
        ))
    };
    answers.into_iter().next().unwrap_or_else(nothing)
}

/// Writes once; where that lost against another transaction, or its connection, the *same* call once more, in the second
/// case on another connection, which tells what became of the first.
async fn repeated<K: Kind>(
    database: &Database,
    kept: &mut Kept,
    jobs: &[K::Job],
) -> Result<Vec<Result<K::Answer>>, (Fate, StoreError)> {
    match attempt::<K>(database, kept, jobs).await {
        Err((Fate::Conflict, _)) => attempt::<K>(database, kept, jobs).await,
        Err((Fate::Unknown, error)) if K::REPEATABLE => match attempt::<K>(database, kept, jobs).await {
            Err((Fate::NotSent, _)) => Err((Fate::Unknown, error)),
            // The first one may still be at work and hold what the second one could not lock in time.
            Err((Fate::RolledBack | Fate::Conflict, StoreError::Unavailable(_))) => {
                Err((Fate::Unknown, error))
            }
            other => other,
        },
        other => other,
    }
}

async fn attempt<K: Kind>(
    database: &Database,
    kept: &mut Kept,
    jobs: &[K::Job],
) -> Result<Vec<Result<K::Answer>>, (Fate, StoreError)> {
    let mut conn = match kept.take() {
        Some(conn) => conn,
        // Whatever it was: our call was not sent.
        None => database
            .conn()
            .await
            .map_err(|error| (Fate::NotSent, StoreError::Unavailable(error.to_string())))?,
    };
    let writing = async {
        let statement = K::statement(database.now(), jobs)?;
        ag_failpoints::hit("store.before_commit");
        let done = database.execute(&mut conn, None, statement).await?;
        ag_failpoints::hit("store.after_commit");
        K::answers(jobs, &done.rows)
    };
    match tokio::time::timeout(DEADLINE, writing).await {
        Ok(Ok(answers)) => {
            *kept = Some(conn);
            if answers.len() == jobs.len() {
                return Ok(answers);
            }
            let text = format!(
                "the store function answered {} of {} calls",
                answers.len(),
                jobs.len()
            );
            Err((Fate::NotSent, StoreError::Internal(text)))
        }
        Ok(Err(error)) => {
            let fate = fate(&error);
            match fate {
                Fate::Unknown => conn.cut(),
                Fate::RolledBack | Fate::Conflict | Fate::NotSent => *kept = Some(conn),
            }
            Err((fate, database.write_failed(error)))
        }
        Err(_) => {
            // A statement is still running on it.
            conn.cut();
            let text = "the database did not answer in time".to_owned();
            Err((Fate::Unknown, StoreError::Ambiguous(text)))
        }
    }
}
