//! Doorbells. The database is the truth; what rings here may be lost, doubled or late without harm.
//!
//! * [`Bell`] tells runners that runs of a pool have something to do, and sessions that something is urgent.
//! * [`RunFeed`] carries new ledger records of a run to the nodes that stream it.
//! * [`local`] holds the in-process adapters of the embedded mode.

pub mod bell;
pub mod feed;
pub mod local;

pub use bell::{Bell, Control, WakeUps};
pub use feed::{FeedItem, FeedSubscription, RunFeed};
