//! W3: runs parked on a question, then resumed by a command.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    client::{Conn, drain, start_body},
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    stats,
};

/// Records of a run that waits: `started`, `waiting`.
const PARKED: u64 = 2;
/// Three more when it has ended: `resume`, completion, status.
const RECORDS: u64 = PARKED + 3;
const BURST: usize = 1_000;
const CLIENTS: usize = 64;

static COMMANDS: AtomicU64 = AtomicU64::new(0);

async fn resume(conn: &mut Conn, run: &str) -> Result<()> {
    let id = format!("load-{}", COMMANDS.fetch_add(1, Relaxed));
    let payload = json!({"payload": {"response": "yes"}});
    conn.command(&id, run, "resume", payload).await
}

/// Starts runs and waits until all of them are parked.
pub(crate) async fn park(gateway: &Gateway, count: usize) -> Result<Vec<String>> {
    let body = start_body("ask", &json!({}));
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS.min(count) {
        let (mut conn, body) = (gateway.conn(), body.clone());
        let share = count / CLIENTS + usize::from(client < count % CLIENTS);
        let share = if count < CLIENTS { 1 } else { share };
        tasks.spawn(async move {
            let mut runs = Vec::new();
            for _ in 0..share {
                let run = conn.start(&body).await?;
                wait_parked(&mut conn, &run).await?;
                runs.push(run);
            }
            anyhow::Ok(runs)
        });
    }
    let mut runs = Vec::new();
    while let Some(task) = tasks.join_next().await {
        runs.extend(task??);
    }
    Ok(runs)
}

async fn wait_parked(conn: &mut Conn, run: &str) -> Result<()> {
    let path = format!("/api/gateway/runs/{run}");
    let end = Instant::now() + Duration::from_secs(20);
    while conn.json("GET", &path, None).await?["status"] != "waiting" {
        ensure!(Instant::now() < end, "run {run} does not come to wait");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Each client listens to a parked run, resumes it, and sees its end; from the command to the end.
async fn closed(gateway: &Gateway, clients: usize, seconds: f64) -> Result<(Vec<f64>, f64)> {
    let mut tasks = JoinSet::new();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    for _ in 0..clients {
        let (mut conn, mut listener) = (gateway.conn(), gateway.conn());
        let body = start_body("ask", &json!({}));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let run = conn.start(&body).await?;
                wait_parked(&mut conn, &run).await?;
                let stream = listener.stream(&run, PARKED).await?;
                let began = Instant::now();
                resume(&mut conn, &run).await?;
                let cursor = drain(stream).await?;
                latencies.push(began.elapsed());
                ensure!(cursor == RECORDS, "run {run} ended after {cursor} records");
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    let rate = latencies.len() as f64 / seconds;
    Ok((stats::sorted_ms(&latencies), rate))
}

/// Resumes many parked runs at once; from the first command to the last end seen.
async fn burst(gateway: &Gateway) -> Result<(Duration, Duration)> {
    let runs = park(gateway, BURST).await?;
    let cpu = gateway.cpu()?;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for part in runs.chunks(BURST.div_ceil(CLIENTS)) {
        let (mut conn, part) = (gateway.conn(), part.to_vec());
        tasks.spawn(async move {
            for run in &part {
                resume(&mut conn, run).await?;
            }
            for run in &part {
                let cursor = conn.follow(run, PARKED).await?;
                ensure!(cursor == RECORDS, "run {run} ended after {cursor} records");
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok((began.elapsed(), gateway.cpu()?.since(&cpu).sum()))
}

pub(crate) async fn w3(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, 4, 0.5).await?;
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("w3", options.rounds, &scratch, &mut gateway, async |gateway| {
        let mut values = Values::new();
        for clients in [1, 16] {
            let (latencies, rate) = closed(gateway, clients, seconds).await?;
            for (name, part) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
                let value = stats::percentile(&latencies, part);
                values.insert(format!("w3.c{clients}.{name}"), Some(value));
            }
            values.insert(format!("w3.c{clients}.cycles_per_s"), Some(rate));
        }
        let (elapsed, cpu) = burst(gateway).await?;
        values.insert(
            "w3.burst.per_s".to_owned(),
            Some(BURST as f64 / elapsed.as_secs_f64()),
        );
        values.insert(
            "w3.burst.cpu_ms_per_resume".to_owned(),
            Some(ms(cpu) / BURST as f64),
        );
        Ok(values)
    });
    scenario.await.map(Some)
}
