//! Logs and metrics: one function to set them up, one file that declares every metric.
//!
//! [`init`] is called once, by the binary. Metrics are recorded through the statics of [`metrics`] from anywhere;
//! without [`init`] they go nowhere, which is what tests want.

mod error;
mod guard;
mod init;
mod logs;
pub mod metrics;

pub use error::TelemetryError;
pub use guard::TelemetryGuard;
pub use init::{ExtraLayer, LogFormat, LogOutput, Options, init};
pub use logs::filter_text;
