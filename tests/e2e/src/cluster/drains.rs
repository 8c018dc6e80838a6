//! Row R5: runners that leave while they hold long calls, and processes whose successors come up before they leave.

use std::time::{Duration, Instant};

use ag_testkit::{FaultProxy, Role};
use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    Api, Call,
    load::{
        flows::{self, BUNDLE},
        tend,
    },
    report::Report,
    until,
};

use super::{Field, Storm, rest, seconds};

/// How long a runner waits for calls when it is asked to leave.
const DRAIN_S: &str = "ABSTRACTGATEWAY_RUNNER_DRAIN_S";
const GRACE: Duration = Duration::from_millis(700);
/// From the end of the grace until the process is gone: everything is handed back and said goodbye to.
const FAREWELL: Duration = Duration::from_secs(5);
/// From the end of the process until somebody else makes the call: it was told of, so no lease has to end.
const TAKE_OVER: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);
/// More than the deaths after which a run is parked.
const DRAINS: usize = 4;

/// Calls that take longer than the grace period: two runners are asked to leave in turn, again and again, and each hands
/// back what it holds. What has completed is not done again, no run is punished, and nobody waits for a lease to end.
/// The runners of the field need slots for all of the runs.
///
/// # Errors
/// The scenario cannot go on.
pub async fn long_calls(field: &mut Field, runs: usize) -> Result<Report> {
    const CRASHES: &str = "SELECT coalesce(max(crashes), 0)::bigint FROM run_heads";
    const HELD: &str =
        "SELECT count(*) FROM run_heads h JOIN runner_sessions s ON s.session_id = h.owner WHERE s.dead";
    const UNDEAD: &str = "SELECT count(*) FROM runner_sessions WHERE NOT dead";
    let began = Instant::now();
    let mut report = field.report("R5 long calls", &["I6", "I7", "I8"]);
    for idle in &mut field.cluster.runners[2..] {
        idle.terminate().await?;
    }
    let grace = GRACE.as_secs_f64().to_string();
    for runner in &mut field.cluster.runners[..2] {
        runner.terminate().await?;
        runner.set_env(DRAIN_S, Some(&grace));
        runner.start().await?;
    }
    let names: Vec<String> = (0..runs).map(|n| format!("r5-long-{n}")).collect();
    field.upstream.script(&long_second_calls(&names)).await?;
    let nodes = field.nodes();
    let long = start(&nodes, &names).await?;
    let second = |name: &str| flows::prompt(name, 2);
    let seconds_made = |field: &Field| -> Result<Vec<usize>> {
        let calls = field.upstream.journal()?;
        let of = |name: &String| tend::count(&calls, &second(name));
        Ok(names.iter().map(of).collect())
    };
    until("the long call of every run", LIMIT, || async {
        Ok(seconds_made(field)?.iter().all(|&made| made > 0))
    })
    .await?;

    let (mut slowest, mut handed_back) = (Duration::ZERO, 0);
    let mut taken_over = Duration::ZERO;
    for drain in 0..DRAINS {
        let last = drain + 1 == DRAINS;
        if last {
            // Whoever takes them up now gets an answer.
            field.upstream.script(&flows::upstream_script(0)).await?;
        }
        let before = seconds_made(field)?;
        let leaving = drain % 2;
        let asked = Instant::now();
        let status = field.cluster.runners[leaving].terminate().await?;
        let left = Instant::now();
        slowest = slowest.max(asked.elapsed());
        if !status.success() {
            report.violation("I7", format!("drain {drain}: the runner left with {status}"));
        }
        let held = field.cluster.number(HELD).await?;
        if held != 0 {
            report.violation(
                "I7",
                format!("drain {drain}: {held} runs still belong to who has left"),
            );
        }
        let crashes = field.cluster.number(CRASHES).await?;
        if crashes != 0 {
            report.violation("I6", format!("drain {drain} counts as {crashes} crashes"));
        }
        if last {
            break;
        }
        // All of them end up at the other one: what it held before stays there.
        let mine = |field: &Field| -> Result<usize> {
            let now = seconds_made(field)?;
            Ok(now.iter().zip(&before).map(|(now, before)| now - before).sum())
        };
        until("somebody to make the calls again", TAKE_OVER + LIMIT, || async {
            let at_rest = "SELECT count(*) FROM run_heads WHERE owner IS NULL";
            Ok(field.cluster.number(at_rest).await? == 0)
        })
        .await?;
        taken_over = taken_over.max(left.elapsed());
        if drain > 0 {
            // From the second drain on one runner held all of them.
            until("all of the calls again", LIMIT, || async {
                Ok(mine(field)? >= runs)
            })
            .await?;
        }
        handed_back += mine(field)?;
        field.cluster.runners[leaving].start().await?;
    }
    for (run, _) in &long {
        nodes[0].until_status(run, &["completed"], LIMIT).await?;
    }
    report.figure("drains", DRAINS);
    report.figure("long_runs", runs);
    report.figure("handed_back", handed_back);
    report.bar("drain_s_max", seconds(slowest), (GRACE + FAREWELL).as_secs_f64());
    report.bar("taken_over_s_max", seconds(taken_over), TAKE_OVER.as_secs_f64());
    ensure!(
        handed_back >= (DRAINS - 2) * runs,
        "too few runs were handed back"
    );
    let calls = field.upstream.journal()?;
    for (run, name) in &long {
        check(&nodes[0], run, name, &calls, &mut report).await?;
    }
    for runner in &mut field.cluster.runners {
        if runner.is_running() {
            runner.terminate().await?;
        }
        runner.set_env(DRAIN_S, None);
    }
    // Who left said so; nobody's lease has to run out.
    report.bar(
        "sessions_left_behind",
        field.cluster.number(UNDEAD).await? as f64,
        0.0,
    );
    for started in join_all(field.cluster.runners.iter_mut().map(|runner| runner.start())).await {
        started?;
    }
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// The second call of each named run hangs, however often it is made.
fn long_second_calls(names: &[String]) -> Value {
    let rules: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "when": {"last_user": flows::prompt(name, 2)},
                "replies": [{"delay_ms": 100_000, "content": "late"}],
            })
        })
        .collect();
    json!({"rules": rules, "default": {"content": "fine"}})
}

/// Starts named runs with two calls; run and name.
async fn start(nodes: &[Api], names: &[String]) -> Result<Vec<(String, String)>> {
    let starts = names.iter().zip(nodes.iter().cycle()).map(async |(name, api)| {
        let run = api.start(BUNDLE, "model", flows::input(name)).await?;
        anyhow::Ok((run, name.clone()))
    });
    join_all(starts).await.into_iter().collect()
}

/// The first call was made once. The second one was made again after each drain (of the first one only by the runs that
/// were with who left), each time as an attempt under one key, and completed once.
async fn check(api: &Api, run: &str, name: &str, calls: &[Call], report: &mut Report) -> Result<()> {
    let records = api.ledger(run).await?;
    for (call, node, wanted) in [(1, "l1", 1..=1), (2, "l2", DRAINS..=DRAINS + 1)] {
        let made = tend::count(calls, &flows::prompt(name, call));
        let own: Vec<&Value> = records
            .iter()
            .filter(|record| record["node_id"] == node)
            .collect();
        let started = own.iter().filter(|record| record["status"] == "started").count();
        let completed = own
            .iter()
            .filter(|record| record["status"] == "completed")
            .count();
        let mut keys: Vec<&str> = own
            .iter()
            .filter_map(|record| record["idempotency_key"].as_str())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        if !wanted.contains(&started) || made > started || completed != 1 || keys.len() != 1 {
            let text = format!(
                "run {run} {node}: {made} calls, {started} attempts, {completed} completions, {} keys",
                keys.len()
            );
            report.violation("I6", text);
        }
    }
    Ok(())
}

/// Each process is replaced: its successor comes up before it is asked to leave, as an orchestrator does it. Clients
/// know an address that stays. Effects are shorter than the grace period, so nothing is tried twice.
///
/// # Errors
/// The scenario cannot go on.
pub async fn overlap(field: &mut Field) -> Result<Report> {
    const EXPIRED: &str =
        "SELECT count(*) FROM runner_sessions WHERE NOT dead AND expires_at < clock_timestamp()";
    for port in field.cluster.api_ports() {
        field.doors.push(FaultProxy::start(port).await?);
    }
    let storm = Storm::new("R5 overlap", "r5-over-");
    let report = storm
        .run(field, async |field, report| {
            let mut longest = Duration::ZERO;
            for _ in 0..field.cluster.runners.len() {
                field.cluster.add(Role::Runner).await?;
                longest = longest.max(leave(field, Role::Runner, report).await?);
            }
            for door in 0..field.cluster.api.len() {
                field.cluster.add(Role::Serve).await?;
                let port = field.cluster.api.last().and_then(|node| node.port());
                field.doors[door].lead_to(port.context("a node without a port")?);
                longest = longest.max(leave(field, Role::Serve, report).await?);
            }
            report.figure("drain_s_max", seconds(longest));
            let expired = field.cluster.number(EXPIRED).await?;
            report.bar("sessions_left_to_expire", expired as f64, 0.0);
            Ok(())
        })
        .await;
    field.doors.clear();
    report
}

/// The oldest process of a kind leaves; how long that takes.
async fn leave(field: &mut Field, role: Role, report: &mut Report) -> Result<Duration> {
    let asked = Instant::now();
    let status = field.cluster.retire(role).await?;
    if !status.success() {
        report.violation("I7", format!("a process of kind {role:?} left with {status}"));
    }
    Ok(asked.elapsed())
}
