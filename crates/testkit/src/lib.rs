//! Real processes for tests: servers in temporary folders, gateways, whole clusters, and faults between them.
//!
//! A server that is not installed skips its tests with a loud line, and fails them where `CI=true`. Nothing outlives
//! the process of a test, however that ends.
//!
//! - [`ScratchNats`], [`ScratchRedis`], [`ScratchPostgres`]: servers that can be stopped, killed and restarted;
//! - [`SmallDisk`]: a disk that can be full;
//! - [`FaultProxy`]: a network that delays, cuts, refuses or swallows;
//! - [`Node`]: a gateway process;
//! - [`Cluster`]: Postgres, NATS, Redis, API nodes and runners. The program `dev-cluster` is one for people.

#[cfg(feature = "cluster")]
mod cluster;
mod disk;
mod guard;
pub mod nats;
#[cfg(feature = "cluster")]
mod node;
#[cfg(feature = "postgres")]
mod pgbouncer;
#[cfg(feature = "postgres")]
pub mod postgres;
mod proxy;
pub mod redis;
mod server;

#[cfg(feature = "cluster")]
pub use cluster::{Cluster, ClusterOptions, Dependency, Snapshot};
pub use disk::SmallDisk;
pub use nats::ScratchNats;
#[cfg(feature = "cluster")]
pub use node::{EndedEarly, Node, NodeOptions, Role};
#[cfg(feature = "postgres")]
pub use pgbouncer::ScratchPgBouncer;
#[cfg(feature = "postgres")]
pub use postgres::{Durability, ScratchPostgres, StopMode};
pub use proxy::{Direction, Fault, FaultProxy};
pub use redis::ScratchRedis;
pub use server::ScratchServer;
