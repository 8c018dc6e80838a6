//! Runners that die, freeze or lose the database while they hold runs: rows R1, R3, R4 and R11.
//!
//! Each runner has as many slots as its share of the runs, and every run's first call hangs, so that it is known who
//! holds what. A second call is answered at once.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use ag_testkit::{Dependency, Fault};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;

use crate::{Api, points::FAILPOINTS, report::Report, until};

use super::{Field, nest, points, rest, seconds};

/// Slots of each runner: `ABSTRACTGATEWAY_RUNNER_SLOTS`.
pub const SLOTS: usize = 4;
/// Length of a runner's lease, by database time.
const LEASE: Duration = Duration::from_secs(15);
/// A runner without a database stops its work this long after it last renewed its lease.
const SELF_FENCE: Duration = Duration::from_secs(13);
/// From the end of a lease until the runs have gone on: a sweep each second, and the second call.
const TAKE_OVER: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);

/// Runs whose first calls hang, by the runner that holds them.
struct Held {
    /// Run and name, in the order of the cluster's runners.
    by_runner: Vec<Vec<(String, String)>>,
}

impl Held {
    /// Fills every slot of every runner.
    async fn fill(field: &Field, row: &str) -> Result<Self> {
        const HOLDERS: &str = "SELECT h.run_id || ' ' || s.node FROM run_heads h JOIN runner_sessions s ON s.session_id = h.owner";
        let nodes = field.nodes();
        let runners = field.cluster.runners.len();
        let count = runners * SLOTS;
        let names: Vec<String> = (0..count).map(|n| format!("{row}-{n}")).collect();
        field.upstream.script(&nest::first_calls_hang(&names)).await?;
        let before = field.upstream.journal()?.len();
        let mut runs = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let api = &nodes[n % nodes.len()];
            runs.push((
                api.start(nest::BUNDLE, "call", nest::input(name)).await?,
                name.clone(),
            ));
        }
        until("the first call of every run", LIMIT, || async {
            Ok(field.upstream.journal()?.len() >= before + count)
        })
        .await?;
        let mut by_runner = vec![Vec::new(); runners];
        for holder in field.cluster.texts(HOLDERS).await? {
            let (run, node) = holder.split_once(' ').context("two columns")?;
            let runner = field
                .cluster
                .runners
                .iter()
                .position(|runner| runner.pid().is_some_and(|pid| names_process(node, pid)))
                .with_context(|| format!("nobody is `{node}`"))?;
            let own = runs.iter().find(|(id, _)| id == run).context("a foreign run")?;
            by_runner[runner].push(own.clone());
        }
        for (runner, held) in by_runner.iter().enumerate() {
            ensure!(held.len() == SLOTS, "runner {runner} holds {} runs", held.len());
        }
        Ok(Self { by_runner })
    }
}

/// Whether the name of a session's node ends with this process id.
fn names_process(node: &str, pid: u32) -> bool {
    let digits = node
        .rsplit(|c: char| !c.is_ascii_digit())
        .find(|part| !part.is_empty());
    digits.and_then(|text| text.parse().ok()) == Some(pid)
}

/// Row R1, restarted on its host: the new process knows that the old one is gone.
///
/// # Errors
/// The scenario cannot go on.
pub async fn restarted(field: &mut Field) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("R1 restarted", &["I1", "I6", "I7"]);
    let held = Held::fill(field, "r1").await?;
    let (victims, others) = held.by_runner.split_first().context("a runner")?;
    field.cluster.runners[0].kill9().await?;
    report.fault();
    let killed = Instant::now();
    field.cluster.runners[0].start().await?;
    report.figure("restart_s", seconds(killed.elapsed()));
    let done = all_done(&field.nodes(), victims, LEASE + TAKE_OVER + LIMIT).await?;
    report.bar("done_s", seconds(done - killed), 3.0);
    check_calls(field, victims, 2..=2, &mut report).await?;
    cancel_all(field, others.iter().flatten()).await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// Rows R1, R3, R4 and R11 in one lease: one runner is killed for good, one is frozen past its lease and wakes up
/// again, one loses the database; the last one is whole. Needs four runners.
///
/// # Errors
/// The scenario cannot go on.
pub async fn lost_leases(field: &mut Field) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("R1/R3/R4/R11", &["I3", "I6", "I7", "I8"]);
    let nodes = field.nodes();
    let held = Held::fill(field, "r3").await?;
    let [dead, frozen, cut, whole] = &held.by_runner[..] else {
        anyhow::bail!("four runners are needed");
    };
    // Room for the runs of the others.
    cancel_all(field, whole).await?;
    let cut_log = field.cluster.runners[2].log_path();

    let fault = Instant::now();
    field.cluster.runners[0].kill9().await?;
    field.cluster.runners[1].signal(Signal::STOP)?;
    field
        .cluster
        .runner_link(2, Dependency::Postgres)
        .set(Fault::Blackhole);
    for _ in 0..3 {
        report.fault();
    }
    let (cancelled, dead) = dead.split_at(SLOTS / 2);
    cancel_all(field, cancelled).await?;
    // An unanswered cancel may be taken over after 1.5 s; a beat each second sees it.
    report.bar("dead_owner_cancelled_s", seconds(fault.elapsed()), 3.5);

    let fenced = async {
        until("the cut runner to stop its work", LIMIT, || async {
            Ok(std::fs::read_to_string(&cut_log)?.contains("stopping before the lease ends"))
        })
        .await?;
        anyhow::Ok(Instant::now())
    };
    let wait = LEASE + TAKE_OVER + LIMIT;
    let (fenced, dead_done, frozen_done, cut_first, cut_done) = tokio::try_join!(
        fenced,
        all_done(&nodes, dead, wait),
        all_done(&nodes, frozen, wait),
        all_done(&nodes, &cut[..1], wait),
        all_done(&nodes, cut, wait),
    )?;
    let bar = (LEASE + TAKE_OVER).as_secs_f64();
    report.bar("dead_owner_done_s", seconds(dead_done - fault), bar);
    report.bar("frozen_owner_done_s", seconds(frozen_done - fault), bar);
    report.bar("cut_owner_done_s", seconds(cut_done - fault), bar);
    report.bar(
        "self_fence_s",
        seconds(fenced - fault),
        (SELF_FENCE + Duration::from_millis(500)).as_secs_f64(),
    );
    let both = fenced.saturating_duration_since(cut_first);
    report.bar("double_owned_ms", seconds(both) * 1e3, 0.0);

    // The zombies wake up with the results of calls that were made again.
    let taken: Vec<_> = [dead, frozen, cut].concat();
    let before = ledgers(&nodes, &taken).await?;
    let log = field.cluster.runners[1].log_path();
    let written = std::fs::read_to_string(&log)?.len();
    field.cluster.runners[1].signal(Signal::CONT)?;
    field
        .cluster
        .runner_link(2, Dependency::Postgres)
        .set(Fault::Pass);
    let woken = Instant::now();
    until("the frozen runner to notice", LIMIT, || async {
        let log = std::fs::read_to_string(&log)?;
        Ok(log.get(written..).is_some_and(|new| new.contains("session lost")))
    })
    .await?;
    field.cluster.runners[0].start().await?;
    let sessions = "SELECT count(*) FROM runner_sessions WHERE NOT dead AND expires_at > clock_timestamp()";
    until("a new session of each runner", LIMIT, || async {
        Ok(field.cluster.number(sessions).await? == 4)
    })
    .await?;
    report.figure("back_s", seconds(woken.elapsed()));
    if ledgers(&nodes, &taken).await? != before {
        report.violation("I3", "a woken runner has written");
    }
    check_calls(field, &taken, 2..=2, &mut report).await?;
    check_calls(field, cancelled, 1..=1, &mut report).await?;
    rest::check(&field.cluster, &mut report).await?;

    // All of them work again: every slot of every runner is filled.
    let again = Held::fill(field, "r3-again")
        .await
        .context("runners that came back")?;
    cancel_all(field, again.by_runner.iter().flatten()).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// Row R3 between read and commit: a runner hangs with its commits ready to be sent, and its runs are taken over from
/// it, first by itself, then by whoever is there. Each of its late commits is refused and counted.
///
/// # Errors
/// The scenario cannot go on.
pub async fn stale_commits(field: &mut Field) -> Result<Report> {
    /// Half of a runner's slots, so that it can take its own runs over.
    const RUNS: usize = SLOTS / 2;
    /// Longer than the two take-overs, and shorter than what a frozen runner survives.
    const HANG: Duration = Duration::from_millis(7_000);
    const REFUSED: &str = "gateway_stale_writes_refused_total";
    const FIRED: &str = "failpoint step.before_commit: sleep";
    let began = Instant::now();
    let mut report = field.report("R3", &["I3", "I7", "I8"]);
    if !points::present(field, &mut report) {
        report.emit(began.elapsed());
        return Ok(report);
    }
    let nodes = field.nodes();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push(
            nodes[n % nodes.len()]
                .start(nest::BUNDLE, "ask", json!({}))
                .await?,
        );
    }
    for run in &runs {
        until("the question", LIMIT, || async {
            Ok(nodes[0].run(run).await?["waiting"]["reason"] == "user")
        })
        .await?;
    }
    // The last commits of these runs hang, in one runner; the others are frozen until it has them.
    let rules = (1..=RUNS).map(|hit| format!("step.before_commit[:ask]=sleep({})@{hit}", HANG.as_millis()));
    let rules = rules.collect::<Vec<_>>().join(";");
    let log = field.cluster.runners[0].log_path();
    field.cluster.runners[0].kill9().await?;
    field.cluster.runners[0].set_env(FAILPOINTS, Some(&rules));
    // That of the first one begins anew.
    let refused = field.of_runners(REFUSED).await?;
    for runner in &mut field.cluster.runners[1..] {
        runner.signal(Signal::STOP)?;
    }
    field.cluster.runners[0].start().await?;
    let written = std::fs::read_to_string(&log)?.len();
    let frozen = Instant::now();
    for run in &runs {
        let payload = json!({"payload": {"response": "late"}});
        nodes[0]
            .command(&format!("answer-{run}"), run, "resume", payload)
            .await?
            .ok()?;
    }
    let hanging = || -> Result<usize> {
        let log = std::fs::read_to_string(&log)?;
        Ok(log.get(written..).map_or(0, |new| new.matches(FIRED).count()))
    };
    until("the hanging commits", LIMIT, || async { Ok(hanging()? == RUNS) }).await?;
    let hang = Instant::now();
    let (own, others) = runs.split_at(RUNS / 2);
    for run in own {
        nodes[0]
            .command(&format!("cancel-{run}"), run, "cancel", json!({}))
            .await?
            .ok()?;
    }
    for run in own {
        nodes[0].until_status(run, &["cancelled"], LIMIT).await?;
    }
    report.figure("taken_back_s", seconds(hang.elapsed()));
    for runner in &mut field.cluster.runners[1..] {
        runner.signal(Signal::CONT)?;
    }
    report.figure("frozen_s", seconds(frozen.elapsed()));
    for run in others {
        nodes[1]
            .command(&format!("cancel-{run}"), run, "cancel", json!({}))
            .await?
            .ok()?;
    }
    for run in others {
        nodes[0].until_status(run, &["cancelled"], LIMIT).await?;
    }
    ensure!(hang.elapsed() < HANG, "the commits hung too shortly to be late");
    for _ in 0..RUNS {
        report.fault();
    }
    let mut before = Vec::new();
    for run in &runs {
        before.push(nodes[0].ledger(run).await?);
    }
    until("the late commits", HANG + LIMIT, || async {
        Ok(field.of_runners(REFUSED).await? - refused >= RUNS as f64)
    })
    .await?;
    let mut after = Vec::new();
    for run in &runs {
        after.push(nodes[1].ledger(run).await?);
        let status = nodes[1].run(run).await?["status"].clone();
        if status != "cancelled" {
            report.violation("I8", format!("run {run} was cancelled and is {status}"));
        }
    }
    if before != after {
        report.violation("I3", "a late commit has written");
    }
    report.figure("stale_writes_attempted", RUNS);
    let late = field.of_runners(REFUSED).await? - refused;
    report.bar("stale_writes_not_refused", RUNS as f64 - late, 0.0);
    field.cluster.runners[0].kill9().await?;
    field.cluster.runners[0].set_env(FAILPOINTS, None);
    field.cluster.runners[0].start().await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// When the last of the runs had completed.
async fn all_done(nodes: &[Api], runs: &[(String, String)], limit: Duration) -> Result<Instant> {
    for ((run, _), api) in runs.iter().zip(nodes.iter().cycle()) {
        api.until_status(run, &["completed"], limit).await?;
    }
    Ok(Instant::now())
}

async fn cancel_all<'a>(field: &Field, runs: impl IntoIterator<Item = &'a (String, String)>) -> Result<()> {
    let nodes = field.nodes();
    let runs: Vec<_> = runs.into_iter().zip(nodes.iter().cycle()).collect();
    for ((run, _), api) in &runs {
        let id = format!("cancel-{run}");
        api.command(&id, run, "cancel", json!({})).await?.ok()?;
    }
    for ((run, _), api) in &runs {
        api.until_status(run, &["cancelled"], LIMIT).await?;
    }
    Ok(())
}

async fn ledgers(nodes: &[Api], runs: &[(String, String)]) -> Result<Vec<Vec<serde_json::Value>>> {
    let mut all = Vec::new();
    for (run, _) in runs {
        all.push(nodes[0].ledger(run).await?);
    }
    Ok(all)
}

/// Each run's call was made this often, each time as an attempt of its own, and completed once at most.
pub(super) async fn check_calls(
    field: &Field,
    runs: &[(String, String)],
    wanted: RangeInclusive<u64>,
    report: &mut Report,
) -> Result<()> {
    let nodes = field.nodes();
    let calls = field.upstream.journal()?;
    for (run, name) in runs {
        let prompt = nest::prompt(name);
        let made = calls
            .iter()
            .filter(|call| call.last_user().contains(&prompt))
            .count() as u64;
        let records = nodes[0].ledger(run).await?;
        let own = || records.iter().filter(|record| record["node_id"] == "l1");
        let attempts = own()
            .filter_map(|record| record["attempt"].as_u64())
            .max()
            .unwrap_or(0);
        let completed = own().filter(|record| record["status"] == "completed").count();
        if !wanted.contains(&attempts) || made > attempts || made < *wanted.start() || completed > 1 {
            report.violation(
                "I6",
                format!("run {run}: {made} calls, {attempts} attempts, {completed} completions"),
            );
        }
    }
    Ok(())
}
