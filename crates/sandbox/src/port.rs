//! The port through which nodes and handlers run Python, free of interpreter types.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Runs untrusted Python functions and expressions on JSON values.
///
/// Calls block for up to the wall time limit (twice that when a memory failure has to be retried
/// without neighbours), so async callers use a blocking thread.
pub trait CodeSandbox: Send + Sync {
    /// Runs `request.function_name` of the module `request.source` on a copy of the input.
    fn run(&self, request: CodeRequest<'_>) -> CodeOutcome;

    /// Evaluates one expression with the input's keys as names (plus `x` and `input` for the whole
    /// input). Failure texts carry no phase prefix.
    fn evaluate(&self, request: ExpressionRequest<'_>) -> CodeOutcome;
}

/// One call of a Python function.
#[derive(Debug, Clone, Copy)]
pub struct CodeRequest<'a> {
    /// Full module text; a bare body goes through [`wrap_body`](crate::wrap_body) first.
    pub source: &'a str,
    /// The function to call; it receives the input as its only argument.
    pub function_name: &'a str,
    /// Copied before the run: what the function does to it is invisible to the caller.
    pub input: &'a Value,
    /// As the client wrote it; unknown values and `full_access` are refused as failures.
    pub permissions: &'a str,
    /// Bounds of this call.
    pub limits: Limits,
}

/// One evaluation of a Python expression.
#[derive(Debug, Clone, Copy)]
pub struct ExpressionRequest<'a> {
    /// The expression text.
    pub expression: &'a str,
    /// An object's keys become names; any value is also visible as `x` and `input`.
    pub input: &'a Value,
    /// Bounds of this evaluation.
    pub limits: Limits,
}

/// What one run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of the interpreter.
    pub wall_time: Duration,
    /// Bytes the process may grow by while the code runs.
    pub memory_bytes: usize,
    /// Depth of Python calls (and of nested comparisons, reprs and the like).
    pub recursion: usize,
    /// Approximate JSON bytes of the result.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(10),
            memory_bytes: 256 * 1024 * 1024,
            // CPython's default, so that recursion that worked in the reference works here.
            recursion: 1000,
            output_bytes: 32 * 1024 * 1024,
        }
    }
}

/// How a run ended. A failure is a value: the flow decides what it means.
#[derive(Debug, Clone, PartialEq)]
pub enum CodeOutcome {
    /// The function returned.
    Ok { value: Value, stats: ExecutionStats },
    /// The code was refused or raised; `error` is the text clients see, phase prefix included.
    Failed {
        error: String,
        phase: Phase,
        stats: ExecutionStats,
    },
    /// The function returned something JSON cannot hold, which fails the run instead of the node.
    Unserialisable {
        /// Python's name of the offending type, for example `set`.
        type_name: String,
        /// Full text, for example `TypeError: Object of type set is not JSON serializable`.
        error: String,
        stats: ExecutionStats,
    },
}

impl CodeOutcome {
    /// What the run cost, however it ended.
    pub fn stats(&self) -> &ExecutionStats {
        match self {
            Self::Ok { stats, .. } | Self::Failed { stats, .. } | Self::Unserialisable { stats, .. } => stats,
        }
    }
}

/// Where a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Syntax, refused constructs, refused permissions: nothing ran.
    Compile,
    /// While the module's top level ran, or the function is missing.
    Load,
    /// Inside the function.
    Runtime,
}

impl Phase {
    /// The word of the `diagnostics` object, which knows only `compile` and `runtime`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Load | Self::Runtime => "runtime",
        }
    }
}

/// The `execution` object of a code node, keys in contract order, numbers rounded to three decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionStats {
    /// Wall time in milliseconds.
    #[serde(serialize_with = "three_decimals")]
    pub duration_ms: f64,
    /// Processor time of the executing thread in milliseconds.
    #[serde(serialize_with = "three_decimals")]
    pub cpu_time_ms: f64,
    /// Processor time per wall time, in percent.
    #[serde(serialize_with = "three_decimals")]
    pub cpu_percent: f64,
    /// Resident memory of the process after the run, in MiB; 0 where the platform does not tell.
    #[serde(serialize_with = "three_decimals")]
    pub memory_rss_mb: f64,
    /// Change of resident memory during the run, in MiB.
    #[serde(serialize_with = "three_decimals")]
    pub memory_rss_delta_mb: f64,
    /// The mode that was asked for, after aliases.
    pub permissions: String,
}

fn three_decimals<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn execution_object_has_contract_keys_in_order() {
        let stats = ExecutionStats {
            duration_ms: 0.273_44,
            cpu_time_ms: 0.27,
            cpu_percent: 98.851_9,
            memory_rss_mb: 124.0625,
            memory_rss_delta_mb: 0.0,
            permissions: "sandbox".to_owned(),
        };
        let text = serde_json::to_string(&stats).expect("plain struct");
        assert_eq!(
            text,
            r#"{"duration_ms":0.273,"cpu_time_ms":0.27,"cpu_percent":98.852,"memory_rss_mb":124.063,"memory_rss_delta_mb":0.0,"permissions":"sandbox"}"#
        );
    }
}
