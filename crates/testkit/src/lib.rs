//! Real servers for tests, as child processes in temporary folders.
//!
//! A server that is not installed skips its tests with a loud line, and fails them where `CI=true`.

mod guard;
pub mod nats;
pub mod redis;

pub use nats::ScratchNats;
pub use redis::ScratchRedis;
