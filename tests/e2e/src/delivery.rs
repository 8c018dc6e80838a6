//! How long records take to whoever follows a run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Api, sse};

/// Streams that are opened at a time.
const OPENING: usize = 64;

/// Times from a record's own time to its arrival, in seconds, in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    times: Vec<f64>,
    /// Streams that were opened again after they had ended before the run did.
    pub(crate) reopened: usize,
}

impl Delivered {
    /// The time that this share of the records does not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let at = (self.times.len() as f64 * share) as usize;
        let time = self.times.get(at.min(self.times.len().saturating_sub(1)));
        (time.copied().unwrap_or(0.0) * 1e4).round() / 1e4
    }

    /// Records that were written while somebody followed.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }
}

/// So many readers follow runs to their end, over all nodes, while the runs are being written. What each received is
/// checked: no gap, no repetition, one end. A node that is busy beyond measure may end a stream, which then goes on where
/// it was.
///
/// # Errors
/// A stream is refused, breaks, is not the ledger, or has no end in time.
pub(crate) async fn follow(
    nodes: &[Api],
    runs: &[String],
    readers: usize,
    limit: Duration,
) -> Result<Delivered> {
    let mut following = JoinSet::new();
    let opening = Arc::new(Semaphore::new(OPENING));
    for n in 0..readers {
        let (api, run) = (nodes[n % nodes.len()].clone(), runs[n % runs.len()].clone());
        let opening = opening.clone();
        following.spawn(async move { tokio::time::timeout(limit, follow_one(&api, &run, &opening)).await });
    }
    let mut all = Delivered::default();
    while let Some(followed) = following.join_next().await {
        let (times, opened) = followed?.context("a stream has not ended")??;
        all.times.extend(times);
        all.reopened += opened - 1;
    }
    all.times.sort_by(f64::total_cmp);
    Ok(all)
}

/// Times, and how many connections it took.
async fn follow_one(api: &Api, run: &str, opening: &Semaphore) -> Result<(Vec<f64>, usize)> {
    let (mut times, mut cursor, mut connections) = (Vec::new(), 0, 0);
    loop {
        let permit = opening.acquire().await?;
        let opened = jiff::Timestamp::now();
        let mut stream = api.stream(run, cursor, None).await?;
        drop(permit);
        connections += 1;
        while let Some(event) = stream.next().await? {
            let data: Value = serde_json::from_str(&event.data)?;
            if event.name == "done" {
                ensure!(
                    data["cursor"] == cursor,
                    "run {run}: done at {data}, {cursor} records"
                );
                return Ok((times, connections));
            }
            cursor += 1;
            ensure!(
                data["cursor"] == cursor,
                "run {run}: expected {cursor}, got {data}"
            );
            let record = &data["record"];
            let written = record["ended_at"].as_str().or(record["started_at"].as_str());
            let written: jiff::Timestamp = written.context("a record without a time")?.parse()?;
            if written > opened {
                let age = jiff::Timestamp::now().as_microsecond() - written.as_microsecond();
                times.push(age.max(0) as f64 / 1e6);
            }
        }
    }
}

/// Waits until a stream has ended; the cursor of its end.
///
/// # Errors
/// It breaks, or does not end in time.
pub(crate) async fn end_of(mut stream: sse::Stream, limit: Duration) -> Result<u64> {
    let end = Instant::now() + limit;
    while let Some(event) = stream.next().await? {
        if event.name == "done" {
            let data: Value = serde_json::from_str(&event.data)?;
            return data["cursor"].as_u64().context("an end without a cursor");
        }
        ensure!(Instant::now() < end, "a stream has not ended");
    }
    anyhow::bail!("a stream ended without its end")
}
