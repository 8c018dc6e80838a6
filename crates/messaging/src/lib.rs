//! Doorbells. The database is the truth; what rings here may be lost, doubled or late without harm.
//!
//! * [`Bell`] tells runners that runs of a pool have something to do, and sessions that something is urgent.
//! * [`RunFeed`] carries new ledger records of a run to the nodes that stream it.
//! * [`SharedCounters`] lets the nodes of a cluster limit together.
//! * [`local`] holds the in-process adapters of the embedded mode, [`nats`] and [`mod@redis`] those of a cluster.
//!
//! What every adapter promises is checked by [`conformance`].

mod backoff;
pub mod bell;
pub mod conformance;
pub mod counters;
pub mod feed;
pub mod local;
pub mod nats;
pub mod redis;

pub use bell::{Bell, Control, Hint, WakeUps};
pub use counters::{Count, Expiry, LocalCounters, SharedCounters};
pub use feed::{FeedItem, FeedSubscription, RunFeed, SharedLine};
