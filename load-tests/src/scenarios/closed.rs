//! W1 and W2: clients that start a run, watch its stream to the end, and start the next.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    client::{Conn, start_body},
    gateway::Gateway,
    probe::ms,
    process::Cpu,
    rounds::{Scenario, Values, repeat},
    stats,
};

/// What a closed loop achieved.
pub(crate) struct Load {
    /// Sorted.
    pub latencies_ms: Vec<f64>,
    pub elapsed: Duration,
    pub cpu: Cpu,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies_ms.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_ms_each(&self) -> f64 {
        ms(self.cpu.sum()) / self.latencies_ms.len().max(1) as f64
    }

    pub(crate) fn values(&self, prefix: &str, values: &mut Values) {
        let numbers = [
            ("runs_per_s", self.per_second()),
            ("p50_ms", stats::percentile(&self.latencies_ms, 0.5)),
            ("p99_ms", stats::percentile(&self.latencies_ms, 0.99)),
            ("cpu_ms_per_run", self.cpu_ms_each()),
        ];
        for (name, value) in numbers {
            values.insert(format!("{prefix}.{name}"), Some(value));
        }
        for (part, time) in self.cpu.parts() {
            let each = ms(time) / self.latencies_ms.len().max(1) as f64;
            values.insert(format!("{prefix}.cpu_ms_per_run.{part}"), Some(each));
        }
        if self.cpu.parts().next().is_some() {
            let own = ms(self.cpu.own()) / self.latencies_ms.len().max(1) as f64;
            values.insert(format!("{prefix}.own_cpu_ms_per_run"), Some(own));
        }
    }
}

/// Keeps `clients` busy with a flow for a time. `records` is the length of its ledger: a run that ends shorter failed.
///
/// # Errors
/// A run fails.
pub(crate) async fn closed(
    gateway: &Gateway,
    flow: &str,
    records: u64,
    clients: usize,
    seconds: f64,
) -> Result<Load> {
    let body = start_body(flow, &json!({}));
    let cpu = gateway.cpu()?;
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (mut conn, body) = (gateway.conn(), body.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                one(&mut conn, &body, records).await?;
                latencies.push(began.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(Load {
        latencies_ms: stats::sorted_ms(&latencies),
        elapsed: began.elapsed(),
        cpu: gateway.cpu()?.since(&cpu),
    })
}

/// One run, from the start to its `done`.
pub(crate) async fn one(conn: &mut Conn, body: &bytes::Bytes, records: u64) -> Result<()> {
    let run = conn.start(body).await?;
    let cursor = conn.follow(&run, 0).await?;
    ensure!(
        cursor == records,
        "run {run} ended after {cursor} records instead of {records}"
    );
    Ok(())
}

/// Records of `answers3` and `answers20`: two per step, completion and status.
pub(crate) const RECORDS_3: u64 = 8;
const RECORDS_20: u64 = 42;

pub(crate) async fn w1(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("w1", options.rounds, &scratch, &mut gateway, async |gateway| {
        let mut values = Values::new();
        for clients in [1, 16, 64] {
            let load = closed(gateway, "answers3", RECORDS_3, clients, seconds).await?;
            load.values(&format!("w1.c{clients}"), &mut values);
        }
        values.insert("w1.c64.pss_mib".to_owned(), gateway.pss_mib().ok());
        Ok(values)
    });
    scenario.await.map(Some)
}

pub(crate) async fn w2(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, "answers20", RECORDS_20, 16, 0.5).await?;
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("w2", options.rounds, &scratch, &mut gateway, async |gateway| {
        let mut values = Values::new();
        closed(gateway, "answers20", RECORDS_20, 16, seconds)
            .await?
            .values("w2.c16", &mut values);
        Ok(values)
    });
    scenario.await.map(Some)
}
