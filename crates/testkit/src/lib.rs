//! Real servers for tests, as child processes in temporary folders.
//!
//! A server that is not installed skips its tests with a loud line, and fails them where `CI=true`.

mod guard;
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod redis;

pub use nats::ScratchNats;
#[cfg(feature = "postgres")]
pub use postgres::ScratchPostgres;
pub use redis::ScratchRedis;
