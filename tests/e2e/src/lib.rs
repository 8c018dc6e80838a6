//! Black-box tests: the real binary as a child process, driven over HTTP only.
//!
//! - [`Gateway`], [`FakeUpstream`]: child processes on free ports, killed on drop, logs shown on failure;
//! - [`Api`], [`sse`]: a small client of the HTTP contract;
//! - [`Flow`], [`Bundle`]: workflows written in a few lines;
//! - [`vectors`]: the recorded conformance vectors in parallel shards;
//! - [`crash`]: `kill -9` under load and the checker of what must survive it;
//! - [`report`]: one JSON line per scenario of the fault matrix.
//!
//! The binary is not a dependency of this crate; build it first (`cargo build -p abstractgateway`). It is taken from
//! the folder of the running test's own profile, or from `ABSTRACTGATEWAY_BIN`.

mod binary;
mod bundle;
mod client;
pub mod crash;
mod flow;
mod gateway;
pub mod report;
pub mod sse;
mod upstream;
pub mod vectors;
mod wait;

pub use bundle::Bundle;
pub use client::{Api, Reply};
pub use flow::Flow;
pub use gateway::{Gateway, Options, SecondProcess};
pub use upstream::{Call, FakeUpstream};
pub use wait::{until, until_some};
