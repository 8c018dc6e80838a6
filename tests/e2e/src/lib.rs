//! Black-box tests: the real binary as a child process, driven over HTTP only.
//!
//! - [`Gateway`], [`FakeUpstream`]: child processes on free ports, which end with the test, logs shown on failure;
//! - [`Api`], [`sse`]: a small client of the HTTP contract;
//! - [`Flow`], [`Bundle`]: workflows written in a few lines;
//! - [`vectors`]: the recorded conformance vectors in parallel shards;
//! - [`follow`]: a client of event streams that resumes, also on another node;
//! - [`crash`]: `kill -9` under load of an embedded gateway;
//! - [`points`]: deaths at named points of the code, embedded;
//! - [`disk`]: an embedded gateway whose disk is full;
//! - [`slow`]: clients that open streams and hardly read them;
//! - [`cluster`]: API nodes, runners, Postgres, NATS and Redis under the faults of the matrix;
//! - [`import`]: recorded folders of the Python gateway, and what must become of them;
//! - [`report`]: one JSON line per scenario of the fault matrix.
//!
//! The binary is not a dependency of this crate; build it first (`cargo build -p abstractgateway`). It is taken from
//! the folder of the running test's own profile, or from `ABSTRACTGATEWAY_BIN`.

mod binary;
mod bundle;
mod client;
pub mod cluster;
pub mod crash;
mod delivery;
pub mod disk;
mod flow;
pub mod follow;
mod gateway;
pub mod import;
mod load;
pub mod points;
mod process;
pub mod report;
pub mod slow;
pub mod sse;
mod upstream;
pub mod vectors;
mod wait;

pub use bundle::Bundle;
pub use client::{Api, Refused, Reply};
pub use flow::Flow;
pub use gateway::{Gateway, Options, SecondProcess};
pub use upstream::{Call, FakeUpstream};
pub use wait::{until, until_some};
