//! Row R2 of the fault matrix in embedded mode: deaths at named points. On a cluster: `cluster`. Row R15 beside it.
//!
//! The long form has every point three times: `cargo test -p ag-e2e --test points -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use ag_e2e::{
    Api, Bundle, Flow, Gateway, Options,
    points::{self, Hits},
    report::{self, Report},
    until,
};
use anyhow::{Context as _, ensure};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deaths_at_named_points() -> anyhow::Result<()> {
    check(Hits::One, Duration::from_secs(240)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; run by name"]
async fn deaths_at_named_points_long() -> anyhow::Result<()> {
    check(Hits::All, Duration::from_secs(800)).await
}

async fn check(hits: Hits, limit: Duration) -> anyhow::Result<()> {
    let report = tokio::time::timeout(limit, points::run(hits, report::seed())).await??;
    assert!(
        report.pass() || report.skipped().is_some(),
        "violations, see the report line"
    );
    Ok(())
}

/// Row R15: a schedule whose gateway is down over several slots. Waits are relative to the execution before, so missed
/// slots are not made up for: the next one comes at once, then each after its interval, as many as were asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute; run by name"]
async fn a_schedule_survives_a_downtime() -> anyhow::Result<()> {
    const TIMES: usize = 8;
    const INTERVAL: Duration = Duration::from_secs(1);
    let began = Instant::now();
    let mut report = Report::new("R15", 0, "embedded", &["I7", "I9"]);
    report.node("gateway", 1);
    let mut gateway = Gateway::start(Options::default()).await?;
    let say = Flow::new("main", &[])
        .step("start", "a", "answer_user", json!({"message": "now"}))
        .step("a", "end", "on_flow_end", json!({}));
    gateway.api().install(&Bundle::new("said", [say])).await?;
    let body = json!({
        "bundle_id": "said", "flow_id": "main", "input_data": {},
        "start_at": "0.1s", "interval": "1s", "repeat_count": TIMES,
    });
    let started = gateway
        .api()
        .post("/api/gateway/runs/schedule", &body)
        .await?
        .ok()?;
    let run = started["run_id"].as_str().context("a run")?.to_owned();
    until("two executions", LIMIT, || async {
        Ok(executions(&gateway.api(), &run).await?.len() >= 2)
    })
    .await?;
    gateway.kill9().await?;
    report.fault();
    let before = Instant::now();
    tokio::time::sleep(5 * INTERVAL).await;
    gateway.restart().await?;
    let down = before.elapsed();
    let api = gateway.api();
    let seen = executions(&api, &run).await?.len();
    until("the next execution", LIMIT, || async {
        Ok(executions(&api, &run).await?.len() > seen)
    })
    .await?;
    report.bar("next_slot_s", (before.elapsed() - down).as_secs_f64(), 2.0);
    api.until_status(&run, &["completed"], LIMIT).await?;
    let starts = executions(&api, &run).await?;
    if starts.len() != TIMES {
        report.violation("I9", format!("{} executions of {TIMES}", starts.len()));
    }
    // Two in one second would be a slot that was used twice.
    let close = starts
        .windows(2)
        .filter(|pair| pair[1] - pair[0] < INTERVAL.as_secs_f64())
        .count();
    report.bar("slots_used_twice", close as f64, 0.0);
    report.figure("missed_slots", down.as_secs());
    report.figure("executions", starts.len());
    report.emit(began.elapsed());
    ensure!(report.pass(), "see the report line");
    Ok(())
}

/// When the executions of a schedule began, in seconds.
async fn executions(api: &Api, run: &str) -> anyhow::Result<Vec<f64>> {
    let history = api
        .get(&format!("/api/gateway/runs/{run}/history_bundle"))
        .await?
        .ok()?;
    let ledgers = history["ledgers"].as_object().context("ledgers")?;
    let mut starts = Vec::new();
    for child in ledgers.keys().filter(|id| *id != run) {
        let created: jiff::Timestamp = api.run(child).await?["created_at"]
            .as_str()
            .context("a time")?
            .parse()?;
        starts.push(created.as_microsecond() as f64 / 1e6);
    }
    starts.sort_by(f64::total_cmp);
    Ok(starts)
}
