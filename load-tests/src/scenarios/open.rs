//! An open loop: runs start at a fixed rate, whether or not those before them have ended.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    client::{Conn, start_body},
    gateway::Gateway,
    probe::ms,
    report, stats,
};

use super::closed::{RECORDS_3, one};

/// A run that takes longer is counted as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an open loop saw.
pub(super) struct Open {
    /// From the time at which a start was due to the end seen, in the order of the starts; nothing for a lost run.
    latencies_ms: Vec<Option<f64>>,
    /// From the last start to the last end.
    pub drained: Duration,
}

impl Open {
    /// Part of the runs that ended as they should.
    pub(super) fn completed(&self) -> f64 {
        self.sorted().len() as f64 / self.latencies_ms.len().max(1) as f64
    }

    pub(super) fn percentile(&self, part: f64) -> f64 {
        stats::percentile(&self.sorted(), part)
    }

    /// How much slower the last quarter was than the first: above one where a backlog grows.
    pub(super) fn drift(&self) -> f64 {
        let quarter = self.latencies_ms.len() / 4;
        let middle =
            |part: &[Option<f64>]| stats::median(&part.iter().copied().flatten().collect::<Vec<_>>());
        let last = middle(&self.latencies_ms[self.latencies_ms.len() - quarter..]);
        last / middle(&self.latencies_ms[..quarter]).max(0.001)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<_> = self.latencies_ms.iter().copied().flatten().collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Starts short runs at a rate for a time.
///
/// # Errors
/// A task panics.
pub(super) async fn open(gateway: &Gateway, per_second: f64, seconds: f64) -> Result<Open> {
    let body = start_body("answers3", &json!({}));
    let idle: Arc<Mutex<Vec<Conn>>> = Arc::default();
    let count = (per_second * seconds).max(4.0) as usize;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for n in 0..count {
        let due = began + Duration::from_secs_f64(n as f64 / per_second);
        tokio::time::sleep_until(due.into()).await;
        let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut conn = conn.unwrap_or_else(|| gateway.conn());
        let (idle, body) = (Arc::clone(&idle), body.clone());
        tasks.spawn(async move {
            let run = tokio::time::timeout(PATIENCE, one(&mut conn, &body, RECORDS_3)).await;
            let latency = due.elapsed();
            match run {
                Ok(Ok(())) => {
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
                    (n, Some(ms(latency)))
                }
                Ok(Err(error)) => {
                    report::progress(&format!("run {n}: {error:#}"));
                    (n, None)
                }
                Err(_) => (n, None),
            }
        });
    }
    let last = Instant::now();
    let mut latencies = vec![None; count];
    while let Some(task) = tasks.join_next().await {
        let (n, latency) = task?;
        latencies[n] = latency;
    }
    Ok(Open {
        latencies_ms: latencies,
        drained: last.elapsed(),
    })
}
