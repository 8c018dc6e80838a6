//! Why telemetry could not be set up.

/// Set-up failed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is not in the notation of tracing.
    #[error("log filter `{filter}` is not valid: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// The parser's message.
        reason: String,
    },
    /// Traces cannot be exported as configured.
    #[error("traces cannot be exported: {reason}")]
    Traces {
        /// What is wrong.
        reason: String,
    },
    /// A subscriber is installed already.
    #[error("logging is already set up")]
    LogsInstalled,
    /// A metrics recorder of somebody else is installed already.
    #[error("metrics are already set up")]
    MetricsInstalled,
    /// A metric's buckets are not valid.
    #[error("metric {name} cannot be declared: {reason}")]
    Metric {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The maintenance thread cannot be started.
    #[error("cannot start the metrics thread")]
    Thread(#[source] std::io::Error),
}
