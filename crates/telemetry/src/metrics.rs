//! Metrics of the gateway, in the text format of Prometheus.
//!
//! Every metric is a static of [`definitions`]: name, description, unit and label names in one place. Label values
//! never are ids; a metric that meets more label sets than it may have counts the rest under `other`.

mod definition;
mod definitions;
mod recorder;
mod series;
mod timed;

pub use definition::{Counter, Gauge, Histogram, status_class};
pub use definitions::*;
pub use recorder::Metrics;
pub use timed::store_operation;
