//! New ledger records, fanned out to streams.

use std::sync::Arc;

use ag_types::RunKey;
use async_trait::async_trait;
use tokio::sync::broadcast;

/// One announcement of a run.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// A record became durable.
    Record {
        /// Its sequence number.
        seq: i64,
        /// Its JSON line; absent when it was too large to carry.
        line: Option<Arc<str>>,
    },
    /// The run is terminal and `last_seq` is its last record.
    Terminal {
        /// Last sequence number.
        last_seq: i64,
    },
}

/// A subscription; dropping it ends it. A lagging receiver loses items, which its reader notices by their numbers.
#[derive(Debug)]
pub struct FeedSubscription {
    /// Items since the subscription began.
    pub items: broadcast::Receiver<FeedItem>,
}

/// The feed.
#[async_trait]
pub trait RunFeed: Send + Sync {
    /// Announces items in order, after their commit.
    async fn publish(&self, run: RunKey, items: Vec<FeedItem>);
    /// Subscribes to a run; one underlying subscription per run and node, however many clients.
    async fn subscribe(&self, run: RunKey) -> FeedSubscription;
    /// False while announcements are known to get lost.
    fn healthy(&self) -> bool;
}
