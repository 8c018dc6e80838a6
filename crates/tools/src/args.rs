//! Typed access to normalised arguments.
//!
//! [`crate::normalise::arguments`] has coerced the values before, so a getter falls back to its default only for
//! arguments that were not given.

use serde_json::Value;

use crate::call::Object;

/// Arguments whose names and types follow the tool's specification.
#[derive(Debug)]
pub(crate) struct Args(pub(crate) Object);

impl Args {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// `None` for a missing, null or empty text.
    pub(crate) fn opt_text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(crate) fn opt_int(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.opt_int(name).unwrap_or(default)
    }

    /// A count between `min` and `max`.
    pub(crate) fn count(&self, name: &str, default: i64, min: usize, max: usize) -> usize {
        usize::try_from(self.int(name, default))
            .unwrap_or(min)
            .clamp(min, max)
    }

    pub(crate) fn number(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or(default)
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .map(|items| items.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}
