//! What grows with the number of runs stored and queued, and with the number of runners.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::{
    cli::Options,
    client::start_body,
    cluster::Shape,
    gateway::Gateway,
    probe::ms,
    process::Cpu,
    report,
    rounds::{Scenario, Values, repeat},
    stats,
    stub::Stub,
};

use super::closed::{RECORDS_3, closed};

/// Looks at the empty store, of which the median counts.
const ALONE: usize = 3;

/// Fills the store with finished runs.
pub(super) async fn fill(gateway: &mut Gateway, count: usize) -> Result<()> {
    let mut conn = gateway.conn();
    let run = conn.start(&start_body("answers3", &json!({}))).await?;
    let records = conn.follow(&run, 0).await?;
    ensure!(records == RECORDS_3, "{records} records instead of {RECORDS_3}");
    multiply(gateway, &run, count).await
}

async fn multiply(gateway: &mut Gateway, run: &str, count: usize) -> Result<()> {
    let began = Instant::now();
    gateway.multiply(run, count).await.context("copies of a run")?;
    let seconds = began.elapsed().as_secs_f64();
    report::progress(&format!("{count} runs written in {seconds:.1} s"));
    Ok(())
}

/// A short run beside many stored ones, against a nearly empty store.
pub(crate) async fn growth(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    let (seconds, stored) = (options.seconds, options.stored);
    closed(&gateway, "answers3", RECORDS_3, 16, seconds).await?;
    let mut alone = Vec::new();
    for _ in 0..ALONE {
        alone.push(
            closed(&gateway, "answers3", RECORDS_3, 16, seconds)
                .await?
                .cpu_ms_each(),
        );
    }
    let alone = stats::median(&alone);
    fill(&mut gateway, stored).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, seconds).await?;
    let scratch = gateway.home().to_owned();
    let scenario = repeat(
        "growth",
        options.rounds,
        &scratch,
        &mut gateway,
        async |gateway| {
            let beside = closed(gateway, "answers3", RECORDS_3, 16, seconds).await?;
            Ok(Values::from([
                (
                    format!("growth.{stored}.w1_cpu_ratio"),
                    Some(beside.cpu_ms_each() / alone),
                ),
                (
                    format!("growth.{stored}.w1_runs_per_s"),
                    Some(beside.per_second()),
                ),
            ]))
        },
    );
    scenario.await.map(Some)
}

/// Queued runs in the store that is the measure for a large one.
const SHORT_QUEUE: usize = 20_000;

/// One runner that works off a queue which it has never heard of: candidates, claims and commits, a short queue against
/// a long one.
pub(crate) async fn queue(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::shaped(options, Shape { api: 1, runners: 1 }, &[]).await?;
    let (seconds, queued) = (options.seconds, options.queued);
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    runner(&mut gateway, Turn::Off).await?;
    let run = gateway.conn().start(&start_body("answers3", &json!({}))).await?;
    multiply(&mut gateway, &run, SHORT_QUEUE).await?;
    runner(&mut gateway, Turn::On).await?;
    let mut alone = Vec::new();
    for _ in 0..ALONE {
        alone.push(worked_off(&gateway, seconds).await?.1);
    }
    let alone = stats::median(&alone);
    runner(&mut gateway, Turn::Off).await?;
    let run = gateway.conn().start(&start_body("answers3", &json!({}))).await?;
    multiply(&mut gateway, &run, queued).await?;
    runner(&mut gateway, Turn::On).await?;
    worked_off(&gateway, seconds).await?;
    let scratch = gateway.home().to_owned();
    let scenario = repeat("queue", options.rounds, &scratch, &mut gateway, async |gateway| {
        let (rate, cpu) = worked_off(gateway, seconds).await?;
        Ok(Values::from([
            (format!("queue.{queued}.runs_per_s"), Some(rate)),
            (format!("queue.{queued}.cpu_ms_per_run"), Some(cpu)),
            (format!("queue.{queued}.cpu_ratio"), Some(cpu / alone)),
        ]))
    });
    scenario.await.map(Some)
}

enum Turn {
    On,
    Off,
}

/// Most time until a started runner works on a queue of which no bell tells it.
const FOUND: Duration = Duration::from_secs(15);

async fn runner(gateway: &mut Gateway, turn: Turn) -> Result<()> {
    let cluster = gateway.cluster()?;
    match turn {
        Turn::Off => cluster.processes.runners[0].terminate().await.map(drop),
        Turn::On => {
            let before = cluster.processes.number(QUEUED).await?;
            cluster.processes.runners[0].start().await?;
            let began = Instant::now();
            while cluster.processes.number(QUEUED).await? == before {
                ensure!(began.elapsed() < FOUND, "the runner does not find the queue");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        }
    }
}

/// By the heads, which the index that a claim uses counts quickly enough.
const QUEUED: &str = "SELECT count(*) FROM run_heads";

/// Runs that end per second, and CPU for each of them.
async fn worked_off(gateway: &Gateway, seconds: f64) -> Result<(f64, f64)> {
    let Gateway::Cluster(cluster) = gateway else {
        bail!("only a cluster has a queue");
    };
    let left = async || -> Result<(i64, Instant, Cpu)> {
        let left = cluster.processes.number(QUEUED).await?;
        Ok((left, Instant::now(), cluster.cpu()?))
    };
    let (before, began, cpu) = left().await?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    // CPU is read before the second count, which is not the runner's.
    let spent = cluster.cpu()?.since(&cpu);
    let (after, ended, _) = left().await?;
    let done = (before - after) as f64;
    ensure!(done > 0.0, "the queue does not get shorter");
    ensure!(
        after > 0,
        "the queue was worked off before the end of the measurement"
    );
    Ok((done / (ended - began).as_secs_f64(), ms(spent.sum()) / done))
}

/// Slots of each runner: few, so that their number and not the processor limits what a runner does.
const SLOTS: usize = 8;
const RUNNERS: usize = 4;
/// Time of a model call: long enough that four runners leave the two cores of the usual machine some room.
const CALL: Duration = Duration::from_millis(200);
/// Least load of a step: runs take a good half second, and the first and the last of a step are not shared evenly.
const LEAST_SECONDS: f64 = 6.0;
/// Two records for each of three calls, completion and status.
const RECORDS_CALLS: u64 = 3 * 2 + 2;

/// The same work with one runner and with four, each busy with waiting for models.
pub(crate) async fn runners(options: &Options) -> Result<Option<Scenario>> {
    let stub = Stub::slow(CALL).await?;
    let env = [
        ("OPENAI_BASE_URL", stub.base_url()),
        ("ABSTRACTGATEWAY_RUNNER_SLOTS", SLOTS.to_string()),
    ];
    let shape = Shape {
        api: options.api.max(1),
        runners: RUNNERS,
    };
    let mut gateway = Gateway::shaped(options, shape, &env).await?;
    let seconds = options.seconds.max(LEAST_SECONDS);
    let scratch = gateway.home().to_owned();
    closed(&gateway, "model3", RECORDS_CALLS, RUNNERS * SLOTS, 0.5).await?;
    let scenario = repeat(
        "runners",
        options.rounds,
        &scratch,
        &mut gateway,
        async |gateway| {
            let all = closed(gateway, "model3", RECORDS_CALLS, RUNNERS * SLOTS, seconds).await?;
            for runner in &mut gateway.cluster()?.processes.runners[1..] {
                runner.terminate().await?;
            }
            let one = closed(gateway, "model3", RECORDS_CALLS, SLOTS, seconds).await?;
            for runner in &mut gateway.cluster()?.processes.runners[1..] {
                runner.start().await?;
            }
            Ok(Values::from([
                ("runners.1.runs_per_s".to_owned(), Some(one.per_second())),
                ("runners.4.runs_per_s".to_owned(), Some(all.per_second())),
                (
                    "runners.4.of_linear".to_owned(),
                    Some(all.per_second() / one.per_second() / RUNNERS as f64),
                ),
            ]))
        },
    );
    scenario.await.map(Some)
}
