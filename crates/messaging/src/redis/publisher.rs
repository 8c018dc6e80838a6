//! What leaves the node.
//!
//! A commit must not wait for Redis: its items go through a bounded queue to one task, which sends all that came
//! meanwhile in one pipeline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ag_types::RunKey;
use redis::Pipeline;
use tokio::{sync::mpsc, time::Instant};

use super::{
    link::{CONNECT, Part, RedisLink},
    wire,
};
use crate::FeedItem;

/// Announcements that wait for the task, in calls and in bytes.
const QUEUE: usize = 8_192;
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Calls and bytes of one pipeline.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// Time between attempts to reach an absent server.
const HEAL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Call {
    run: RunKey,
    messages: Vec<String>,
    bytes: usize,
}

/// The queue's entrance.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    queue: mpsc::Sender<Call>,
    waiting: Arc<AtomicUsize>,
}

impl Publisher {
    /// Starts the task, which ends when the last entrance is gone.
    pub(super) fn start(link: RedisLink) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(run(link, calls, waiting.clone()));
        Self { queue, waiting }
    }

    /// Returns whether the items found a place in the queue.
    pub(super) fn put(&self, run: RunKey, items: &[FeedItem]) -> bool {
        let messages: Vec<String> = items.iter().map(wire::encode).collect();
        let bytes = messages.iter().map(String::len).sum();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUE_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        let taken = self.queue.try_send(Call { run, messages, bytes }).is_ok();
        if !taken {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }
}

async fn run(link: RedisLink, mut calls: mpsc::Receiver<Call>, waiting: Arc<AtomicUsize>) {
    let mut batch = Vec::new();
    let mut next_try = Instant::now() + HEAL_EVERY;
    loop {
        let away = link.health.bad(Part::Commands);
        let first = tokio::select! {
            biased;
            () = tokio::time::sleep_until(next_try), if away => {
                link.ping().await;
                next_try = Instant::now() + HEAL_EVERY;
                continue;
            }
            first = calls.recv() => first,
        };
        let Some(first) = first else { return };
        let mut bytes = first.bytes;
        batch.push(first);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Ok(call) = calls.try_recv() else { break };
            bytes += call.bytes;
            batch.push(call);
        }
        match away {
            // Old announcements are of no use to anybody when the server comes back.
            true => link.health.unsettle(),
            false => send(&link, &batch).await,
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        batch.clear();
    }
}

async fn send(link: &RedisLink, batch: &[Call]) {
    let pipeline = announce(batch);
    if link.run::<()>(&pipeline, CONNECT).await.is_some() {
        return;
    }
    // The connection that was lost is found out by using it; readers skip what they get twice.
    if link.run::<()>(&pipeline, CONNECT).await.is_none() {
        link.health.unsettle();
    }
}

fn announce(batch: &[Call]) -> Pipeline {
    let mut pipeline = redis::pipe();
    for call in batch {
        let channel = wire::channel(call.run);
        for message in &call.messages {
            pipeline.cmd("PUBLISH").arg(&channel).arg(message).ignore();
        }
    }
    pipeline
}
