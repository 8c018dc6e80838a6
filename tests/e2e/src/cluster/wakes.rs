//! Many runs that something must wake, and a crash in the middle of it: rows R12, R14 and the reaper's part of P1.

use std::time::{Duration, Instant};

use ag_testkit::StopMode;
use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    Api,
    client::Refused,
    points::FAILPOINTS,
    report::{Report, rounded},
    until,
};

use super::{Field, RECOVERY, nest, points, rest, seconds};

const LIMIT: Duration = Duration::from_secs(60);
/// Starts at a time.
const AT_A_TIME: usize = 16;
const HEADS: &str = "SELECT count(*) FROM run_heads";
const RESTING: &str = "SELECT count(*) FROM run_heads WHERE owner IS NULL AND ready_at IS NULL";
const WAITERS: &str =
    "SELECT run_id::text FROM runs WHERE workflow_id LIKE 'nest@%:listen' AND status = 'waiting'";

/// Starts so many runs of a flow on all nodes.
pub(super) async fn start_many(
    field: &Field,
    flow: &str,
    input: &Value,
    count: usize,
) -> Result<Vec<String>> {
    let nodes = field.nodes();
    let starts =
        stream::iter(0..count).map(|n| nodes[n % nodes.len()].start(nest::BUNDLE, flow, input.clone()));
    let runs: Vec<Result<String>> = starts.buffer_unordered(AT_A_TIME).collect().await;
    runs.into_iter().collect()
}

/// Row R12: one event for many waiters, and the node that posted it dies before it has told anybody. Sweeps find the
/// mail; every waiter goes on, once.
///
/// # Errors
/// The scenario cannot go on.
pub async fn lost_event(field: &mut Field, waiters: usize) -> Result<Report> {
    const FOUND: &str = "gateway_found_by_sweep_total{kind=\"ready\"}";
    let began = Instant::now();
    let mut report = field.report("R12", &["I1", "I4", "I7"]);
    if !points::present(field, &mut report) {
        report.emit(began.elapsed());
        return Ok(report);
    }
    let found = field.of_runners(FOUND).await?;
    let name = format!("r12-{waiters}");
    let input = json!({"key": format!("evt:global:global:{name}")});
    let runs = start_many(field, "listen", &input, waiters).await?;
    let wanted = i64::try_from(waiters)?;
    until("the waiters", LIMIT, || async {
        Ok(field.cluster.number(RESTING).await? == wanted)
    })
    .await?;
    ensure!(
        field.cluster.texts(WAITERS).await?.len() == waiters,
        "foreign waiters"
    );
    field.cluster.api[0].kill9().await?;
    field.cluster.api[0].set_env(FAILPOINTS, Some("cmd.before_ring[emit_event]=abort"));
    field.cluster.api[0].start().await?;
    let nodes = field.nodes();
    let event = json!({"name": name, "scope": "global", "payload": {"n": 1}});
    let posted = nodes[0]
        .command(&name, &runs[0], "emit_event", event.clone())
        .await;
    ensure!(posted.is_err(), "the node lived on: {posted:?}");
    let crashed = Instant::now();
    report.fault();
    field.cluster.api[0].ended(LIMIT).await?;
    field.cluster.api[0].set_env(FAILPOINTS, None);
    // The client asks another node what became of its command.
    let again = nodes[1]
        .command(&name, &runs[0], "emit_event", event)
        .await?
        .ok()?;
    if again["duplicate"] != true {
        report.violation("I1", format!("the stored event was not known: {again}"));
    }
    let gone_on = until("all waiters to go on", RECOVERY, || async {
        Ok(field.cluster.number(HEADS).await? == 0)
    });
    if let Err(error) = gone_on.await {
        report.violation("I7", format!("{error:#}"));
        field.explain().await;
    }
    report.bar("all_woken_s", seconds(crashed.elapsed()), RECOVERY.as_secs_f64());
    field.cluster.api[0].start().await?;
    for run in &runs {
        let records = nodes[1].ledger(run).await?;
        let woken = records
            .iter()
            .filter(|record| record["node_id"] == "w" && record["status"] == "completed")
            .count();
        if woken != 1 {
            report.violation("I4", format!("run {run} was woken {woken} times"));
        }
    }
    report.figure("waiters", waiters);
    report.figure("found_by_sweep", field.of_runners(FOUND).await? - found);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// Row R14: many timers due at one instant, and a runner is killed in the middle. None fires early, twice or never.
///
/// # Errors
/// The scenario cannot go on.
pub async fn timer_burst(field: &mut Field, timers: usize, lead: Duration) -> Result<Report> {
    const DUE: &str = "SELECT to_char((clock_timestamp() + interval '1 second') AT TIME ZONE 'UTC', \
         'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')";
    const LATENESS: &str = "SELECT extract(epoch FROM updated_at)::text FROM runs WHERE workflow_id LIKE 'nest@%:alarm' \
         AND status = 'completed' ORDER BY updated_at";
    let began = Instant::now();
    let mut report = field.report("R14", &["I7", "I9"]);
    let now: Vec<String> = field.cluster.texts(DUE).await?;
    let now = now.first().context("the server's time")?;
    let before = field.cluster.texts(LATENESS).await?.len();
    let due = later(now, lead)?;
    let runs = start_many(field, "alarm", &json!({"at": due}), timers).await?;
    let wanted = i64::try_from(timers)?;
    let resting = field.cluster.number(RESTING).await?;
    // A slow machine may have fired the first ones already.
    ensure!(
        resting * 2 >= wanted,
        "{resting} of {timers} runs rest before they are due: too short a lead"
    );
    let fires = Instant::now();
    until("the first timers", LIMIT, || async {
        Ok(field.cluster.number(HEADS).await? < wanted)
    })
    .await?;
    report.figure("waited_s", seconds(fires.elapsed()));
    field.cluster.runners[0].kill9().await?;
    report.fault();
    let killed = Instant::now();
    field.cluster.runners[0].start().await?;
    let all = until("the last timer", RECOVERY, || async {
        Ok(field.cluster.number(HEADS).await? == 0)
    });
    if let Err(error) = all.await {
        report.violation("I7", format!("{error:#}"));
        field.explain().await;
    }
    report.bar("recovery_s", seconds(killed.elapsed()), RECOVERY.as_secs_f64());
    let nodes = field.nodes();
    for run in &runs {
        let records = nodes[0].ledger(run).await?;
        let waits = |record: &Value| record["node_id"] == "t" && record["status"] == "waiting";
        let waited = records.iter().filter(|record| waits(record)).count();
        let next = records
            .iter()
            .position(waits)
            .and_then(|at| records.get(at + 1)?["started_at"].as_str());
        if waited != 1 || next.is_none_or(|next| next < due.as_str()) {
            report.violation(
                "I9",
                format!("run {run}, due {due}: {waited} waits, next step at {next:?}"),
            );
        }
    }
    let ends = field.cluster.texts(LATENESS).await?;
    let due_s = epoch(&due)?;
    let mut late: Vec<f64> = ends
        .get(before..)
        .unwrap_or_default()
        .iter()
        .filter_map(|at| Some(at.parse::<f64>().ok()? - due_s))
        .collect();
    late.sort_by(f64::total_cmp);
    let of = |share: f64| {
        late.get((late.len() as f64 * share) as usize)
            .copied()
            .map(rounded)
    };
    report.figure("timers", timers);
    report.figure("lateness_s_p50", of(0.5));
    report.figure("lateness_s_p99", of(0.99));
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// A time of the form of the ledger, so much later; the lead is in whole seconds within one day.
fn later(time: &str, lead: Duration) -> Result<String> {
    let at: jiff::Timestamp = time.parse()?;
    let at = at.checked_add(jiff::SignedDuration::try_from(lead)?)?;
    Ok(at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
}

fn epoch(time: &str) -> Result<f64> {
    let at: jiff::Timestamp = time.parse()?;
    Ok(at.as_microsecond() as f64 / 1e6)
}

/// Starts a run; a node whose database is still coming back says 503, and then the same key asks again.
async fn started(api: &Api, name: &str) -> Result<String> {
    let end = Instant::now() + LIMIT;
    loop {
        match api
            .start_once(name, nest::BUNDLE, "call", nest::input(name))
            .await
        {
            Err(error) if Instant::now() < end && Refused::is_unavailable(&error) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}

/// Row P1, in the middle of recovery: all runners die with many runs in their hands, and while their successors take
/// them up the database crashes.
///
/// # Errors
/// The scenario cannot go on.
pub async fn orphans(field: &mut Field, runs: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("P1 orphans", &["I1", "I6", "I7"]);
    let names: Vec<String> = (0..runs).map(|n| format!("p1-orphan-{n}")).collect();
    field.upstream.script(&nest::first_calls_hang(&names)).await?;
    let before = field.upstream.journal()?.len();
    let nodes = field.nodes();
    let starts = stream::iter(names.iter().enumerate()).map(|(n, name)| {
        let api = &nodes[n % nodes.len()];
        async move { anyhow::Ok((started(api, name).await?, name.clone())) }
    });
    let started: Vec<Result<(String, String)>> = starts.buffer_unordered(AT_A_TIME).collect().await;
    let started = started.into_iter().collect::<Result<Vec<_>>>()?;
    until("the first call of every run", LIMIT, || async {
        Ok(field.upstream.journal()?.len() >= before + runs)
    })
    .await?;
    for runner in &mut field.cluster.runners {
        runner.kill9().await?;
        report.fault();
    }
    for runner in &mut field.cluster.runners {
        runner.start().await?;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let crashed = Instant::now();
    field.cluster.postgres.restart(StopMode::Immediate).await;
    report.fault();
    let healed = Instant::now();
    report.figure("database_away_s", seconds(healed - crashed));
    let done = until("the orphans", RECOVERY, || async {
        Ok(field.cluster.number(HEADS).await.is_ok_and(|heads| heads == 0))
    });
    if let Err(error) = done.await {
        report.violation("I7", format!("{error:#}"));
        field.explain().await;
    }
    report.bar("recovery_s", seconds(healed.elapsed()), RECOVERY.as_secs_f64());
    report.figure("orphans", runs);
    let faults = report.faults();
    super::handover::check_calls(field, &started, 2..=1 + faults, &mut report).await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}
