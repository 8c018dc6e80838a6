//! Row R2: the process dies at named points of its code, one after the other, and what must be true afterwards.
//!
//! Runs of all kinds and schedules are kept going; each life of the process has one failpoint armed and goes on until
//! that kills it. Deaths during recovery are part of it: the first thing that a life does is to take up what the one
//! before it left. The points exist in builds with debug assertions; others report the row as skipped.

mod schedules;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ag_testkit::EndedEarly;
use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    FakeUpstream, Gateway, Options,
    crash::integrity,
    load::{
        INVARIANTS, check, flows, tend,
        workload::{self, Workload},
    },
    report::{Report, seconds},
};
use schedules::Schedules;

/// Variable that arms a gateway.
pub const FAILPOINTS: &str = "AG_FAILPOINTS";
/// What an armed gateway writes first.
pub const ARMED: &str = "failpoints armed";

/// Points of an embedded gateway, with the filters that make them points of their own.
const POINTS: [&str; 26] = [
    "session.opened",
    "lease.acquired",
    "start.before_ack",
    "step.before_effect[start_subworkflow]",
    "step.before_effect[llm_call]",
    "step.after_effect[start_subworkflow]",
    "step.after_effect[llm_call]",
    "step.before_commit[keep]",
    "step.before_commit[wait]",
    "step.before_commit[terminal]",
    "step.after_commit[keep]",
    "step.after_commit[wait]",
    "step.after_commit[terminal]",
    "outbox.before_publish",
    "outbox.after_publish",
    "cmd.before_ring[resume]",
    "cmd.before_ack[cancel]",
    "cmd.before_ack[emit_event]",
    "child.planned",
    "child.terminal",
    "parent.before_wake",
    "timer.claimed",
    "sched.flow_stored",
    "child.planned[scheduled:]",
    "store.before_commit",
    "store.after_commit",
];
/// Written by more than one path, so it goes with the large values alone.
const BLOB: &str = "artifact.blob_written";

/// Callers at a time.
const WORKERS: usize = 8;
/// Runs kept in flight.
const IN_FLIGHT: usize = 24;
/// Values above this size are artifacts.
const INLINE: &str = "2000";
/// Longest life of a process.
const LIFE: Duration = Duration::from_secs(12);
/// The file is looked at after every so many deaths.
const INTEGRITY_EVERY: u64 = 4;

/// Size of a sweep.
#[derive(Debug, Clone, Copy)]
pub enum Hits {
    /// One hit of each point, chosen by the seed.
    One,
    /// The first, the second and the third of each.
    All,
}

/// Runs the sweep and returns what it found.
///
/// # Errors
/// The scenario itself cannot go on.
pub async fn run(hits: Hits, seed: u64) -> Result<Report> {
    let began = Instant::now();
    let mut report = Report::new("R2", seed, "embedded", &INVARIANTS);
    let upstream = FakeUpstream::start().await?;
    upstream.script(&flows::long_answers()).await?;
    let options = Options::default()
        .upstream(upstream.base_url())
        .env(flows::INLINE_BYTES, INLINE)
        .env(FAILPOINTS, "nothing=abort");
    let mut gateway = Gateway::start(options).await?;
    report.node("gateway", 1);
    if !gateway.log().contains(ARMED) {
        report.skip("the binary has no failpoints: it was built without debug assertions");
        report.emit(began.elapsed());
        return Ok(report);
    }
    gateway.api().install(&flows::bundle()).await?;
    let golden = flows::golden(&gateway.api()).await.context("undisturbed runs")?;
    gateway.kill9().await?;

    let workload = Arc::new(Workload::new(workload::Plan {
        prefix: "",
        in_flight: IN_FLIGHT,
        starts_per_s: f64::INFINITY,
        kinds: &flows::Kind::ALL,
        patient: false,
    }));
    let schedules = Arc::new(Schedules::default());
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut missed, mut deaths) = (Vec::new(), 0);
    let mut slowest = (Duration::ZERO, String::new());
    for rule in rules(hits, &mut rng) {
        let life = Instant::now();
        gateway.set_env(FAILPOINTS, Some(&rule));
        let written = gateway.log().len();
        match one_life(&mut gateway, &workload, &schedules, &upstream, &mut rng).await? {
            Life::Died => {
                let log = gateway.log();
                let fired = log.get(written..).is_some_and(|new| new.contains("failpoint "));
                if !fired {
                    report.violation("I7", format!("{rule}: the process died of something else"));
                }
                deaths += 1;
            }
            Life::WentOn => missed.push(rule.clone()),
        }
        slowest = slowest.max((life.elapsed(), rule));
        report.fault();
        if report.faults().is_multiple_of(INTEGRITY_EVERY)
            && let integrity::Verdict::Corrupt(what) = integrity::check(&gateway.data_dir()).await?
        {
            report.violation("I5", format!("after {} deaths: {what}", report.faults()));
        }
    }
    gateway.set_env(FAILPOINTS, None);
    gateway.restart().await?;

    let restarted = Instant::now();
    let nodes = [gateway.api()];
    let recovery = crate::cluster::RECOVERY;
    tend::until_all_ended(&workload, &nodes, &upstream, recovery).await;
    schedules
        .until_all_ended(&nodes[0], recovery, &mut report)
        .await?;
    report.figure("recovery_s", seconds(restarted.elapsed()));
    check::everything(&workload, &nodes, &upstream, &golden, &mut report).await?;
    report.figure("points", POINTS.len() + 1);
    report.figure("deaths", deaths);
    report.figure("longest_life_s", slowest.0.as_secs_f64());
    report.figure("longest_life", slowest.1);
    report.figure("points_missed", missed.join(", "));
    report.bar("points_not_reached", missed.len() as f64, 0.0);
    report.load("in_flight", IN_FLIGHT);
    ensure!(
        workload.accepted() >= IN_FLIGHT,
        "too little load to mean anything"
    );
    report.emit(began.elapsed());
    Ok(report)
}

/// One rule for each life, in an order chosen by the seed.
fn rules(hits: Hits, rng: &mut StdRng) -> Vec<String> {
    let mut rules = Vec::new();
    for point in POINTS.into_iter().chain([BLOB]) {
        // A session is opened once in a life.
        let most = if point == "session.opened" { 1 } else { 3 };
        let hits = match hits {
            Hits::One => {
                let hit = rng.random_range(1..=most);
                hit..=hit
            }
            Hits::All => 1..=most,
        };
        rules.extend(hits.map(|hit| format!("{point}=abort@{hit}")));
    }
    for n in (1..rules.len()).rev() {
        rules.swap(n, rng.random_range(0..=n));
    }
    rules
}

enum Life {
    Died,
    WentOn,
}

/// Starts the process, keeps it busy and waits for its end.
async fn one_life(
    gateway: &mut Gateway,
    workload: &Arc<Workload>,
    schedules: &Arc<Schedules>,
    upstream: &FakeUpstream,
    rng: &mut StdRng,
) -> Result<Life> {
    match gateway.restart().await {
        Ok(_) => {}
        // While it took up what the life before had left.
        Err(error) if error.downcast_ref::<EndedEarly>().is_some() => return Ok(Life::Died),
        Err(error) => return Err(error),
    }
    workload.begin();
    let mut clients = tend::workers(WORKERS, workload, &[gateway.api()], upstream, rng);
    let (api, schedules) = (gateway.api(), Arc::clone(schedules));
    clients.spawn(async move { schedules.start_some(&api).await });
    let ended = gateway.ended(LIFE).await;
    workload.halt();
    let life = match ended {
        Ok(_) => Life::Died,
        Err(_) => {
            gateway.kill9().await?;
            Life::WentOn
        }
    };
    clients.join_all().await;
    Ok(life)
}
