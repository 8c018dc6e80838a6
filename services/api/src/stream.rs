//! Ledgers as server-sent events (architecture D6).
//!
//! [`Follow`] is one client's view of a run: subscribe, read the store from the cursor, then drain the feed by
//! cursor. A live record that is not the next one causes a read, never a skip. [`Streams`] is the node's: it asks the
//! store with one statement where all quiet runs end, so that a lost announcement costs latency and nothing else.

mod follow;
mod frame;
mod out;
mod quiet;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ag_messaging::RunFeed;
use ag_store::Store;
use tokio_util::sync::CancellationToken;

pub(crate) use follow::{Follow, FollowOptions};
use quiet::Quiet;

/// The ledger streams of a node.
pub(crate) struct Streams {
    store: Arc<dyn Store>,
    feed: Arc<dyn RunFeed>,
    quiet: Quiet,
    drain: CancellationToken,
}

impl Streams {
    pub(crate) fn new(store: Arc<dyn Store>, feed: Arc<dyn RunFeed>, drain: CancellationToken) -> Self {
        Self {
            store,
            feed,
            quiet: Quiet::default(),
            drain,
        }
    }
}

/// The whole stream of something that ended without records.
pub(crate) fn ended(run: &str, cursor: i64) -> String {
    let mut out = String::new();
    frame::done(&mut out, run, cursor);
    out
}
