//! New ledger records, fanned out to streams.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use ag_types::RunKey;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

/// The line of a record, shared by everybody on this node who follows its run.
#[derive(Debug, Clone)]
pub struct SharedLine(Arc<Line>);

#[derive(Debug)]
struct Line {
    text: Box<str>,
    rendered: OnceLock<Bytes>,
}

impl SharedLine {
    /// What the followers of this node send for the record: made by the first of them, shared by all, so `render` must
    /// give the same for each.
    pub fn rendered(&self, render: impl FnOnce(&str) -> Bytes) -> Bytes {
        self.0.rendered.get_or_init(|| render(&self.0.text)).clone()
    }
}

impl Deref for SharedLine {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl From<String> for SharedLine {
    fn from(text: String) -> Self {
        Self(Arc::new(Line {
            text: text.into(),
            rendered: OnceLock::new(),
        }))
    }
}

impl From<&str> for SharedLine {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One announcement of a run.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// A record became durable.
    Record {
        /// Its sequence number.
        seq: i64,
        /// Its JSON line; absent when it was too large to carry.
        line: Option<SharedLine>,
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
