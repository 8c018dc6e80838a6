//! The feed and the counters of a cluster, on Redis (architecture D1, D6).
//!
//! A node has one connection for commands and one for subscriptions. Nothing in Redis is a fact: a stream that misses
//! an announcement reads the database, and a counter that is away is replaced by the node's own.
//!
//! | name | kind | content |
//! | --- | --- | --- |
//! | `feed:<plane>:<run>` | channel | `{"cursor", "record"?, "terminal"}` |
//! | `count:<key>` | number with expiry | a shared counter |

mod counters;
mod link;
mod publisher;
mod subscriptions;
mod wire;

use std::fmt;

use ag_types::RunKey;
use async_trait::async_trait;

use crate::{FeedItem, FeedSubscription, RunFeed};
use link::Part;
use publisher::Publisher;
use subscriptions::Subscriptions;

pub use counters::RedisCounters;
pub use link::RedisLink;

/// Why a connection cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address cannot be read. It may hold a password and is not repeated.
    #[error("the Redis address is not a URL like redis://host:6379/0")]
    Address,
    /// The options cannot be used.
    #[error("cannot use the Redis options: {0}")]
    Options(String),
}

/// Where the server is.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or `rediss://` address, user, password and database included where needed.
    pub url: String,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").finish_non_exhaustive()
    }
}

/// The feed.
pub struct RedisFeed {
    link: RedisLink,
    publisher: Publisher,
    subscriptions: Subscriptions,
}

impl RedisFeed {
    /// A feed on a node's connection. Makes the one for subscriptions.
    #[must_use]
    pub fn new(link: &RedisLink) -> Self {
        Self {
            link: link.clone(),
            publisher: Publisher::start(link.clone()),
            subscriptions: Subscriptions::start(link.clone()),
        }
    }
}

#[async_trait]
impl RunFeed for RedisFeed {
    async fn publish(&self, run: RunKey, items: Vec<FeedItem>) {
        if !items.is_empty() && !self.publisher.put(run, &items) {
            self.link.health.unsettle();
        }
    }

    async fn subscribe(&self, run: RunKey) -> FeedSubscription {
        self.subscriptions.subscribe(run).await
    }

    fn healthy(&self) -> bool {
        let health = &self.link.health;
        health.good(Part::Commands) && health.good(Part::Subscriptions) && health.settled()
    }
}
