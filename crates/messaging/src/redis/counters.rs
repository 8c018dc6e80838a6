//! Counters in Redis, with the node's own share as the way out.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::{Part, RedisLink};
use crate::{Count, Expiry, LocalCounters, SharedCounters};

/// A request waits no longer for a counter.
const LIMIT: Duration = Duration::from_millis(250);
/// After a failure the server is left alone for so long; requests must not wait one by one.
const PAUSE: Duration = Duration::from_secs(1);

/// Counters shared by the nodes. Each node also keeps its own share, which answers while Redis is away.
pub struct RedisCounters {
    link: RedisLink,
    own: LocalCounters,
    resume: Mutex<Instant>,
}

impl RedisCounters {
    /// Counters on a node's connection.
    #[must_use]
    pub fn new(link: &RedisLink) -> Self {
        Self {
            link: link.clone(),
            own: LocalCounters::default(),
            resume: Mutex::new(Instant::now()),
        }
    }

    async fn ask(&self, pipeline: &redis::Pipeline) -> Option<Count> {
        if *self.resume.lock() > Instant::now() {
            return None;
        }
        let answer = self.link.run::<(Option<i64>, i64)>(pipeline, LIMIT).await;
        let Some((value, remaining_ms)) = answer else {
            *self.resume.lock() = Instant::now() + PAUSE;
            return None;
        };
        Some(Count {
            value: value.unwrap_or(0),
            remaining: Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0)),
        })
    }
}

fn name(key: &str) -> String {
    format!("count:{key}")
}

#[async_trait]
impl SharedCounters for RedisCounters {
    async fn add(&self, key: &str, by: i64, expiry: Expiry) -> Count {
        let own = self.own.add_now(key, by, expiry);
        let name = name(key);
        let mut add = redis::pipe();
        add.atomic();
        match expiry {
            Expiry::Fixed(_) => {
                add.cmd("SET")
                    .arg(&name)
                    .arg(0)
                    .arg("PX")
                    .arg(expiry.millis())
                    .arg("NX")
                    .ignore();
                add.cmd("INCRBY").arg(&name).arg(by);
            }
            Expiry::Renewed(_) => {
                add.cmd("INCRBY").arg(&name).arg(by);
                add.cmd("PEXPIRE").arg(&name).arg(expiry.millis()).ignore();
            }
        }
        add.cmd("PTTL").arg(&name);
        let Some(mut count) = self.ask(&add).await else {
            return own;
        };
        if count.value < 0 {
            // Given back after the counter was forgotten: it must not allow more than before.
            let mut level = redis::pipe();
            level.cmd("INCRBY").arg(&name).arg(-count.value).ignore();
            self.link.run::<()>(&level, LIMIT).await;
            count.value = 0;
        }
        count
    }

    async fn get(&self, key: &str) -> Count {
        let name = name(key);
        let mut get = redis::pipe();
        get.cmd("GET").arg(&name).cmd("PTTL").arg(&name);
        match self.ask(&get).await {
            Some(count) => Count {
                value: count.value.max(0),
                ..count
            },
            None => self.own.get_now(key),
        }
    }

    async fn clear(&self, key: &str) {
        self.own.clear_now(key);
        let mut clear = redis::pipe();
        clear.cmd("DEL").arg(name(key)).ignore();
        if *self.resume.lock() <= Instant::now() && self.link.run::<()>(&clear, LIMIT).await.is_none() {
            *self.resume.lock() = Instant::now() + PAUSE;
        }
    }

    fn healthy(&self) -> bool {
        self.link.health.good(Part::Commands)
    }
}
