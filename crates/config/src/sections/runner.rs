//! `[runner]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_seconds, clamp};
use crate::Problems;

/// The runner of this process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// Run workflows in this process. Since v0.1.0.
    pub enabled: bool,
    /// The pool this runner serves. Since v0.1.0.
    pub pool: String,
    /// Runs it holds at a time. Since v0.1.0.
    pub slots: u32,
    /// Seconds between sweeps for work that no wake-up announced. Since v0.1.0.
    pub poll_s: f64,
    /// This runner reaches the workspaces. Without, it takes no run whose flow has file or tool nodes. Since v0.1.0.
    pub workspace: bool,
    /// Commands may run here. Unset: in the embedded mode yes, on a cluster no. Since v0.1.0.
    pub allow_exec: Option<bool>,
    /// Seconds that a drain waits for calls in flight before their runs are handed back. Since v0.1.0.
    pub drain_s: f64,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            pool: "default".to_owned(),
            slots: 256,
            poll_s: 0.25,
            workspace: true,
            allow_exec: None,
            drain_s: 20.0,
        }
    }
}

impl RunnerConfig {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        clamp("runner.slots", &mut self.slots, 1..=1_000_000, warnings);
    }

    pub(crate) fn validate(&self, problems: &mut Problems) {
        // The name is part of broker subjects.
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&self.pool.len()) || !self.pool.bytes().all(legal) {
            problems.add("runner.pool", "must be 1 to 32 of a-z, 0-9 and -");
        }
        check_seconds("runner.poll_s", self.poll_s, problems);
        check_seconds("runner.drain_s", self.drain_s, problems);
    }
}
