//! Logs, metrics and traces: one function to set them up, one file that declares every metric.
//!
//! [`init`] is called once, by the binary. Metrics are recorded through the statics of [`metrics`] from anywhere;
//! without [`init`] they go nowhere, which is what tests want. [`traces`] carries trace context between processes.

mod error;
mod guard;
mod init;
mod logs;
pub mod metrics;
pub mod traces;

pub use error::TelemetryError;
pub use guard::TelemetryGuard;
pub use init::{ExtraLayer, LogFormat, LogOutput, Options, init};
pub use logs::filter_text;
pub use traces::TraceOptions;
