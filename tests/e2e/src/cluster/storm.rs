//! Load, a fault, and the question what became of everything.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Api,
    follow::{Reader, Resume},
    load::{
        INVARIANTS, check,
        flows::{Kind, upstream_script},
        tend,
        workload::{Plan, Workload},
    },
    report::Report,
};

use super::{Field, RECOVERY, rest, seconds};

/// Clients that start runs, send commands and read.
const WORKERS: usize = 6;
/// Clients that follow runs.
const READERS: usize = 8;
/// Calls long enough to be interrupted, and enough of them.
const CALL_MS: u64 = 200;
const KINDS: [Kind; 10] = [
    Kind::Chain,
    Kind::Timers,
    Kind::PausedTimers,
    Kind::Answered,
    Kind::Cancelled,
    Kind::Signalled,
    Kind::Parent,
    Kind::Model,
    Kind::Model,
    Kind::Model,
];
/// Load before the first fault and after the last one is over.
const AROUND: Duration = Duration::from_millis(700);
/// Longest life of a reader after all runs have ended. An end whose announcement was lost is found by the sweep of quiet
/// streams, which comes every 15 s and passes over a stream that was heard of since the last one.
const LAST_STREAM: Duration = Duration::from_secs(35);
/// Longest life of a client after it was asked to end: one request.
const LAST_REQUEST: Duration = Duration::from_secs(40);

/// A scenario under load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    /// Row of the fault matrix.
    pub(super) row: &'static str,
    /// Begins the names of its runs; unique in a field.
    pub(super) prefix: &'static str,
    /// Runs kept in flight.
    pub(super) in_flight: usize,
    /// Starts per second at most.
    pub(super) starts_per_s: f64,
    /// Bound on the time from the end of the last fault until every run has ended.
    pub(super) recovery: Duration,
}

impl Storm {
    /// The usual size.
    pub(super) fn new(row: &'static str, prefix: &'static str) -> Self {
        Self {
            row,
            prefix,
            in_flight: 50,
            starts_per_s: 30.0,
            recovery: RECOVERY,
        }
    }

    /// Runs the scenario; `faults` returns when everything is whole again.
    pub(super) async fn run(
        self,
        field: &mut Field,
        mut faults: impl AsyncFnMut(&mut Field, &mut Report) -> Result<()>,
    ) -> Result<Report> {
        self.run_beside(field, async |field, report| {
            faults(field, report).await.map(|()| 0)
        })
        .await
    }

    /// The same; `faults` starts runs of its own and returns how many.
    pub(super) async fn run_beside(
        self,
        field: &mut Field,
        mut faults: impl AsyncFnMut(&mut Field, &mut Report) -> Result<usize>,
    ) -> Result<Report> {
        let began = Instant::now();
        let mut report = field.report(self.row, &[&INVARIANTS[..], &["I10"]].concat());
        // Scenarios that look at single runs leave scripts behind.
        field.upstream.script(&upstream_script(CALL_MS)).await?;
        let nodes = field.nodes();
        let stored = rest::root_runs(&field.cluster).await?;
        let workload = Arc::new(Workload::new(Plan {
            prefix: self.prefix,
            in_flight: self.in_flight,
            starts_per_s: self.starts_per_s,
            kinds: &KINDS,
            patient: true,
        }));
        let mut rng = StdRng::seed_from_u64(field.seed);
        workload.begin();
        let workers = tend::workers(WORKERS, &workload, &nodes, &field.upstream, &mut rng);
        let readers = readers(&nodes, &workload, &mut rng);

        tokio::time::sleep(AROUND).await;
        let mut beside = 0;
        let result = async {
            for _ in 0..field.rounds {
                beside += faults(field, &mut report).await?;
            }
            anyhow::Ok(())
        }
        .await;
        let healed = Instant::now();
        if let Err(error) = result {
            field.explain().await;
            return Err(error.context("the fault itself"));
        }
        tokio::time::sleep(AROUND).await;
        workload.halt();
        let load_s = began.elapsed().as_secs_f64();
        join(workers).await.context("workers")?;
        let limit = self.recovery.saturating_sub(healed.elapsed());
        tend::until_all_ended(&workload, &nodes, &field.upstream, limit).await;
        report.bar(
            "recovery_s",
            seconds(healed.elapsed()),
            self.recovery.as_secs_f64(),
        );

        let followed = last_streams(readers, &mut report).await?;
        check_streams(followed, &nodes, &mut report).await?;
        check::everything(&workload, &nodes, &field.upstream, &field.golden, &mut report).await?;
        rest::check(&field.cluster, &mut report).await?;
        let new = rest::root_runs(&field.cluster).await? - stored;
        let accepted = workload.accepted() + beside;
        report.bar("doubled_runs", new as f64 - accepted as f64, 0.0);
        report.load("in_flight", self.in_flight);
        report.load("runs_per_s", (workload.accepted() as f64 / load_s).round());
        ensure!(
            workload.accepted() >= self.in_flight,
            "too little load to mean anything"
        );
        report.emit(began.elapsed());
        if !report.pass() {
            field.explain().await;
        }
        Ok(report)
    }
}

/// What a reader received of a run, or what was wrong with it.
type Stream = Result<(String, Vec<Value>, usize)>;

fn readers(nodes: &[Api], workload: &Arc<Workload>, rng: &mut StdRng) -> JoinSet<Vec<Stream>> {
    let mut readers = JoinSet::new();
    for n in 0..READERS {
        let (mut nodes, workload) = (nodes.to_vec(), workload.clone());
        let first = n % nodes.len();
        nodes.rotate_left(first);
        let mut rng = StdRng::seed_from_u64(rng.random());
        let reader = Reader {
            resume: [Resume::After, Resume::LastEventId, Resume::Both][n % 3],
            // Some leave on their own account as well.
            burst: [usize::MAX, 2][n % 2],
            patient: true,
            limit: Duration::from_secs(120),
        };
        readers.spawn(async move {
            let mut streams = Vec::new();
            while !workload.is_down() {
                let Some(run) = workload.any_open(&mut rng) else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let followed = reader.follow(&nodes, &run).await;
                streams.push(followed.map(|followed| (run, followed.records, followed.connections)));
            }
            streams
        });
    }
    readers
}

/// What all tasks returned, in time.
async fn join<T: 'static>(mut tasks: JoinSet<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let ending = async {
        while let Some(task) = tasks.join_next().await {
            all.push(task?);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LAST_REQUEST, ending)
        .await
        .context("they do not end")??;
    Ok(all)
}

/// What the readers received. The runs have ended, so readers that still wait have missed something.
async fn last_streams(mut readers: JoinSet<Vec<Stream>>, report: &mut Report) -> Result<Vec<Vec<Stream>>> {
    let mut all = Vec::new();
    let ending = async {
        while let Some(reader) = readers.join_next().await {
            all.push(reader?);
        }
        anyhow::Ok(())
    };
    let began = Instant::now();
    match tokio::time::timeout(LAST_STREAM, ending).await {
        Ok(ended) => {
            ended?;
            report.figure("last_stream_s", seconds(began.elapsed()));
        }
        Err(_) => report.violation("I10", format!("{} readers still wait", readers.len())),
    }
    Ok(all)
}

/// The concatenation of what came over all connections is the ledger.
async fn check_streams(followed: Vec<Vec<Stream>>, nodes: &[Api], report: &mut Report) -> Result<()> {
    let (mut streams, mut connections, mut records) = (0, 0, 0);
    for (stream, api) in followed.into_iter().flatten().zip(nodes.iter().cycle()) {
        streams += 1;
        match stream {
            Ok((run, received, opened)) => {
                connections += opened;
                records += received.len();
                if api.ledger(&run).await? != received {
                    report.violation(
                        "I10",
                        format!("run {run}: what a reader received is not the ledger"),
                    );
                }
            }
            Err(error) => report.violation("I10", format!("{error:#}")),
        }
    }
    report.figure("streams", streams);
    report.figure("stream_connections", connections);
    report.figure("streamed_records", records);
    Ok(())
}
