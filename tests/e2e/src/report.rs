//! What a scenario found, as one JSON line on standard output.

use std::{collections::BTreeMap, process::Command, time::Duration};

use serde_json::{Map, Value, json};

/// A figure with three decimals; more would be noise.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Such a figure of a time.
pub(crate) fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

/// The result of one scenario of the fault matrix.
#[derive(Debug, Default)]
pub struct Report {
    row: String,
    seed: u64,
    mode: &'static str,
    nodes: Map<String, Value>,
    faults: u64,
    violations: BTreeMap<String, Vec<String>>,
    figures: Map<String, Value>,
    bars: Map<String, Value>,
    load: Map<String, Value>,
    skipped: Option<String>,
}

/// Examples kept per invariant.
const EXAMPLES: usize = 5;

impl Report {
    /// A scenario of a row in a mode (`embedded`, `cluster`); `invariants` are listed even when they hold.
    #[must_use]
    pub fn new(row: &str, seed: u64, mode: &'static str, invariants: &[&str]) -> Self {
        Self {
            row: row.to_owned(),
            seed,
            mode,
            violations: invariants
                .iter()
                .map(|&name| (name.to_owned(), Vec::new()))
                .collect(),
            ..Self::default()
        }
    }

    /// Processes of a kind.
    pub fn node(&mut self, kind: &str, count: usize) {
        self.nodes.insert(kind.to_owned(), json!(count));
    }

    /// One fault was injected.
    pub fn fault(&mut self) {
        self.faults += 1;
    }

    /// How many were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Something that must never happen did.
    pub fn violation(&mut self, invariant: &str, what: impl Into<String>) {
        self.violations
            .entry(invariant.to_owned())
            .or_default()
            .push(what.into());
    }

    /// A number that was measured.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// A measured number that must not exceed `at_most`.
    pub fn bar(&mut self, name: &str, value: f64, at_most: f64) {
        self.figures.insert(name.to_owned(), json!(value));
        self.bars.insert(name.to_owned(), json!(at_most));
    }

    /// A number that describes the load.
    pub fn load(&mut self, name: &str, value: impl Into<Value>) {
        self.load.insert(name.to_owned(), value.into());
    }

    /// The fault could not be injected; nothing was learned.
    pub fn skip(&mut self, reason: impl Into<String>) {
        self.skipped = Some(reason.into());
    }

    /// Why nothing was learned.
    #[must_use]
    pub fn skipped(&self) -> Option<&str> {
        self.skipped.as_deref()
    }

    /// Whether nothing was violated and every bar holds. What was skipped passes nothing.
    #[must_use]
    pub fn pass(&self) -> bool {
        self.skipped.is_none()
            && self.violations.values().all(Vec::is_empty)
            && self
                .bars
                .iter()
                .all(|(name, bar)| self.figures[name].as_f64() <= bar.as_f64())
    }

    /// Prints the line, and the first examples of each violation on standard error.
    pub fn emit(&self, duration: Duration) {
        let violations: Map<_, _> = self
            .violations
            .iter()
            .map(|(name, found)| (name.clone(), json!(found.len())))
            .collect();
        if let Some(reason) = &self.skipped {
            return line(&json!({
                "row": self.row, "seed": self.seed, "git": git(), "mode": self.mode, "skipped": reason,
            }));
        }
        line(&json!({
            "row": self.row,
            "seed": self.seed,
            "git": git(),
            "mode": self.mode,
            "nodes": self.nodes,
            "duration_s": (duration.as_secs_f64() * 10.0).round() / 10.0,
            "load": self.load,
            "faults": self.faults,
            "violations": violations,
            "figures": self.figures,
            "bars": self.bars,
            "pass": self.pass(),
        }));
        for (name, found) in &self.violations {
            for example in found.iter().take(EXAMPLES) {
                note(&format!("{name}: {example}"));
            }
        }
    }
}

/// Writes one JSON line.
#[expect(clippy::print_stdout, reason = "reports are read from standard output")]
pub fn line(value: &Value) {
    println!("{value}");
}

/// Writes a line for the person who reads a failed test.
#[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// The seed of a scenario: `AG_E2E_SEED`, else a random one. It is part of the report.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("AG_E2E_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or_else(rand::random)
}

/// Short name of the commit under test, null outside a checkout.
fn git() -> Value {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match output {
        Ok(output) if output.status.success() => json!(String::from_utf8_lossy(&output.stdout).trim()),
        _ => Value::Null,
    }
}
