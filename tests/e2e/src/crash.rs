//! `kill -9` at random instants under load, and what must be true afterwards.
//!
//! A hundred runs of mixed flows are kept in flight while workers start runs, send commands and read ledgers; the
//! process is killed at a random moment and started again on the same data directory, many times. Then everything is
//! left to end, and a checker compares what the clients were told with what the gateway holds.

pub(crate) mod integrity;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use crate::{
    FakeUpstream, Gateway, Options, SecondProcess,
    load::{
        INVARIANTS, check, flows, tend,
        workload::{self, Workload},
    },
    report::{Report, seconds},
};

/// Size of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Number of kills.
    pub kills: u32,
    /// Runs kept in flight.
    pub in_flight: usize,
    /// A kill comes this many milliseconds after the process accepted connections.
    pub kill_after_ms: (u64, u64),
    /// The database is checked after every this many kills.
    pub integrity_every: u32,
    /// Time for everything to end after the last restart.
    pub recovery_limit: Duration,
}

/// Callers at a time.
const WORKERS: usize = 8;

/// Runs the scenario and returns what it found.
///
/// # Errors
/// The scenario itself cannot go on (the gateway does not start, a reference run fails).
pub async fn run(plan: Plan, seed: u64) -> Result<Report> {
    let began = Instant::now();
    let mut report = Report::new("E1/R1", seed, "embedded", &[&INVARIANTS[..], &["I3"]].concat());
    let upstream = FakeUpstream::start().await?;
    upstream.script(&flows::upstream_script(40)).await?;
    let mut gateway = Gateway::start(Options::default().upstream(upstream.base_url())).await?;
    gateway.api().install(&flows::bundle()).await?;
    let golden = flows::golden(&gateway.api()).await.context("undisturbed runs")?;

    let workload = Arc::new(Workload::new(workload::Plan {
        prefix: "",
        in_flight: plan.in_flight,
        starts_per_s: f64::INFINITY,
        kinds: &flows::Kind::ALL,
        patient: false,
    }));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut startups = Vec::new();
    let mut under_load = Duration::ZERO;
    for kill in 1..=plan.kills {
        let workers = spawn_workers(&gateway, &workload, &upstream, &mut rng);
        let (from, to) = plan.kill_after_ms;
        let life = Duration::from_millis(rng.random_range(from..=to));
        under_load += life;
        tokio::time::sleep(life).await;
        if kill == plan.kills / 2 {
            match gateway.second_process().await? {
                SecondProcess::Refused { status, .. } => {
                    report.figure("second_process", format!("refused with {status}"));
                }
                SecondProcess::Started => report.violation("I3", "a second live process came up"),
            }
        }
        gateway.kill9().await?;
        report.fault();
        workload.halt();
        workers.join_all().await;
        if kill % plan.integrity_every == 0 {
            match integrity::check(&gateway.data_dir()).await? {
                integrity::Verdict::Sound => {}
                integrity::Verdict::Corrupt(what) => {
                    report.violation("I5", format!("after kill {kill}: {what}"));
                }
                integrity::Verdict::Skipped(why) => report.figure("integrity_skipped", why),
            }
        }
        startups.push(gateway.restart().await?);
    }

    let restarted = Instant::now();
    let nodes = [gateway.api()];
    tend::until_all_ended(&workload, &nodes, &upstream, plan.recovery_limit).await;
    report.figure("recovery_s", seconds(restarted.elapsed()));
    check::everything(&workload, &nodes, &upstream, &golden, &mut report).await?;
    startups.sort();
    report.figure("start_up_ms_p50", seconds(startups[startups.len() / 2]) * 1e3);
    report.figure("start_up_ms_max", seconds(startups[startups.len() - 1]) * 1e3);
    let total = began.elapsed();
    report.node("gateway", 1);
    report.load("in_flight", plan.in_flight);
    report.load(
        "runs_per_s",
        (workload.accepted() as f64 / total.as_secs_f64()).round(),
    );
    ensure!(
        workload.accepted() >= plan.in_flight,
        "too little load to mean anything"
    );
    report.emit(began.elapsed());
    Ok(report)
}

fn spawn_workers(
    gateway: &Gateway,
    workload: &Arc<Workload>,
    upstream: &FakeUpstream,
    rng: &mut StdRng,
) -> JoinSet<()> {
    workload.begin();
    tend::workers(WORKERS, workload, &[gateway.api()], upstream, rng)
}
