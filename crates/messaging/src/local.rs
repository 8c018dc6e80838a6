//! In-process bell and feed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use ag_telemetry::traces;
use ag_types::{RunKey, SessionId};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, mpsc};

use crate::{Bell, Control, FeedItem, FeedSubscription, Hint, RunFeed, WakeUps};

/// Items buffered per run for slow streams; a stream that falls behind reads the database.
const FEED_BUFFER: usize = 64;
/// Hints kept per pool; beyond that runners are told to look for candidates.
const MAX_HINTS: usize = 65_536;

#[derive(Debug, Default)]
struct Pool {
    hints: Mutex<Hints>,
    rung: Notify,
}

#[derive(Debug, Default)]
struct Hints {
    queue: VecDeque<Hint>,
    overflow: bool,
}

/// The bell of the embedded mode.
#[derive(Debug, Default)]
pub struct LocalBell {
    pools: Mutex<HashMap<Arc<str>, Arc<Pool>>>,
    controls: Mutex<HashMap<SessionId, mpsc::Sender<Control>>>,
    /// Other processes ring and listen as well, and nothing is heard of them.
    partial: bool,
}

impl LocalBell {
    /// For one of several processes without a broker: their hints are lost, and the bell says so.
    #[must_use]
    pub fn partial() -> Self {
        Self {
            partial: true,
            ..Self::default()
        }
    }

    fn pool(&self, name: &str) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get(name) {
            return pool.clone();
        }
        pools.entry(name.into()).or_default().clone()
    }
}

struct LocalWakeUps {
    pool: Arc<Pool>,
}

#[async_trait]
impl WakeUps for LocalWakeUps {
    async fn next(&mut self, max: usize) -> Vec<Hint> {
        loop {
            {
                let mut hints = self.pool.hints.lock();
                if std::mem::take(&mut hints.overflow) {
                    return Vec::new();
                }
                if !hints.queue.is_empty() {
                    let n = hints.queue.len().min(max.max(1));
                    let taken = hints.queue.drain(..n).collect();
                    if !hints.queue.is_empty() {
                        self.pool.rung.notify_one();
                    }
                    return taken;
                }
            }
            self.pool.rung.notified().await;
        }
    }
}

#[async_trait]
impl Bell for LocalBell {
    async fn ring(&self, pool: &str, runs: &[RunKey]) {
        let pool = self.pool(pool);
        let trace: Option<Arc<str>> = traces::traceparent().map(Into::into);
        {
            let mut hints = pool.hints.lock();
            if hints.queue.len() + runs.len() > MAX_HINTS {
                hints.overflow = true;
            } else {
                let hint = |key: &RunKey| Hint {
                    key: *key,
                    trace: trace.clone(),
                };
                hints.queue.extend(runs.iter().map(hint));
            }
        }
        pool.rung.notify_one();
    }

    async fn listen(&self, pool: Arc<str>) -> Box<dyn WakeUps> {
        Box::new(LocalWakeUps {
            pool: self.pool(&pool),
        })
    }

    async fn control(&self, session: SessionId, message: Control) {
        let sender = self.controls.lock().get(&session).cloned();
        if let Some(sender) = sender {
            // A full channel means the session is busy with earlier ones; its beat finds the rest.
            let _ = sender.try_send(message);
        }
    }

    async fn controls(&self, session: SessionId) -> mpsc::Receiver<Control> {
        let (sender, receiver) = mpsc::channel(1_024);
        self.controls.lock().insert(session, sender);
        receiver
    }

    fn healthy(&self) -> bool {
        !self.partial
    }
}

/// The feed of the embedded mode.
#[derive(Debug, Default)]
pub struct LocalFeed {
    runs: Mutex<HashMap<RunKey, broadcast::Sender<FeedItem>>>,
    /// Other processes publish as well, and nothing is heard of them.
    partial: bool,
}

impl LocalFeed {
    /// For one of several processes without a broker: their announcements are lost, and the feed says so.
    #[must_use]
    pub fn partial() -> Self {
        Self {
            partial: true,
            ..Self::default()
        }
    }
}

#[async_trait]
impl RunFeed for LocalFeed {
    async fn publish(&self, run: RunKey, items: Vec<FeedItem>) {
        let mut runs = self.runs.lock();
        let Some(sender) = runs.get(&run) else { return };
        for item in items {
            if sender.send(item).is_err() {
                runs.remove(&run);
                return;
            }
        }
    }

    async fn subscribe(&self, run: RunKey) -> FeedSubscription {
        let mut runs = self.runs.lock();
        // Subscriptions of closed streams are forgotten here, so that idle runs cost nothing for long.
        if runs.len() >= 1_024 && runs.len().is_power_of_two() {
            runs.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = runs
            .entry(run)
            .or_insert_with(|| broadcast::channel(FEED_BUFFER).0);
        FeedSubscription {
            items: sender.subscribe(),
        }
    }

    fn healthy(&self) -> bool {
        !self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ag_types::{PlaneId, RunId};

    fn key(n: u128) -> RunKey {
        let text = format!("00000000-0000-4000-8000-{n:012x}");
        RunKey {
            run: text.parse::<RunId>().expect("run id"),
            plane: PlaneId::ROOT,
        }
    }

    #[tokio::test]
    async fn hints_are_shared_and_bounded() {
        let bell = LocalBell::default();
        let mut a = bell.listen("default".into()).await;
        bell.ring("default", &[key(1), key(2), key(3)]).await;
        let hint = |n| Hint {
            key: key(n),
            trace: None,
        };
        assert_eq!(a.next(2).await, [hint(1), hint(2)]);
        assert_eq!(a.next(2).await, [hint(3)]);
        bell.ring("default", &vec![key(4); MAX_HINTS + 1]).await;
        assert!(a.next(1).await.is_empty(), "an overflow says: look yourself");
    }

    #[tokio::test]
    async fn feed_reaches_every_subscriber_in_order() {
        let feed = LocalFeed::default();
        let (mut a, mut b) = (feed.subscribe(key(1)).await, feed.subscribe(key(1)).await);
        let items = (1..=3)
            .map(|seq| FeedItem::Record {
                seq,
                line: Some("{}".into()),
            })
            .collect();
        feed.publish(key(1), items).await;
        for expected in 1..=3 {
            for sub in [&mut a, &mut b] {
                let FeedItem::Record { seq, .. } = sub.items.recv().await.expect("item") else {
                    panic!("record")
                };
                assert_eq!(seq, expected);
            }
        }
    }
}
