//! Inputs and configuration of a model call.

use crate::{core::calls, prelude::*};

/// Pins of a node before the keys of one section of its configuration.
pub(in crate::core) struct Settings<'a> {
    values: &'a Object,
    config: &'a NodeConfig,
    section: &'static str,
}

impl<'a> Settings<'a> {
    /// Settings from resolved pins and a section (`effectConfig`, `agentConfig`).
    pub(in crate::core) fn new(values: &'a Object, config: &'a NodeConfig, section: &'static str) -> Self {
        Self {
            values,
            config,
            section,
        }
    }

    /// A pin that resolved to something other than null.
    pub(in crate::core) fn pin(&self, name: &str) -> Option<&'a Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A configured value.
    pub(in crate::core) fn configured(&self, name: &str) -> Option<&'a Value> {
        self.config.section(self.section, name)
    }

    /// The first of these pins, then of these configured keys, that is not null.
    pub(in crate::core) fn get(&self, names: &[&str]) -> Option<&'a Value> {
        names
            .iter()
            .find_map(|name| self.pin(name))
            .or_else(|| names.iter().find_map(|name| self.configured(name)))
    }

    /// Trimmed text under one of these names.
    pub(in crate::core) fn text(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| self.pin(name).and_then(opt_str))
            .or_else(|| {
                names
                    .iter()
                    .find_map(|name| self.configured(name).and_then(opt_str))
            })
    }

    /// Whole number under one of these names.
    pub(in crate::core) fn integer(&self, names: &[&str]) -> Option<i64> {
        self.get(names).and_then(opt_int)
    }

    /// Number under one of these names.
    pub(in crate::core) fn float(&self, names: &[&str]) -> Option<f64> {
        self.get(names)
            .and_then(opt_float)
            .filter(|number| number.is_finite())
    }

    /// Lenient boolean under one of these names.
    pub(in crate::core) fn flag(&self, names: &[&str]) -> bool {
        self.get(names)
            .is_some_and(|value| coerce_bool(value).unwrap_or(false))
    }

    /// True if the node uses the conversation of the run (also under the pin's older name).
    pub(in crate::core) fn uses_context(&self) -> bool {
        self.flag(&["use_context", "include_context"])
    }

    /// Text of the prompt pin.
    pub(in crate::core) fn prompt(&self) -> String {
        self.get(&["prompt"]).map(pystr).unwrap_or_default().into_owned()
    }

    /// Text of the system pin.
    pub(in crate::core) fn system(&self) -> String {
        self.get(&["system", "system_prompt"])
            .map(pystr)
            .unwrap_or_default()
            .into_owned()
    }

    /// Names of the allowed tools: the pin, even an empty one, before the configuration.
    pub(in crate::core) fn tool_names(&self) -> Vec<String> {
        self.get(&["tools"]).map(calls::names).unwrap_or_default()
    }

    /// Sampling temperature.
    pub(in crate::core) fn temperature(&self) -> f64 {
        self.float(&["temperature"]).unwrap_or(DEFAULT_TEMPERATURE)
    }

    /// Seed; negative means none.
    pub(in crate::core) fn seed(&self) -> Option<i64> {
        self.integer(&["seed"]).filter(|seed| *seed >= 0)
    }

    /// Thinking mode: a truth value or a level.
    pub(in crate::core) fn thinking(&self) -> Option<Value> {
        self.get(&["thinking"]).and_then(|value| match value {
            Value::Bool(_) => Some(value.clone()),
            other => opt_str(other).map(Value::from),
        })
    }

    /// Limit of the answer in tokens.
    pub(in crate::core) fn max_output_tokens(&self) -> Option<i64> {
        self.integer(&[
            "max_output_tokens",
            "max_out_tokens",
            "maxOutputTokens",
            "max_tokens",
        ])
        .filter(|tokens| *tokens > 0)
    }

    /// Limit of the request in tokens.
    pub(in crate::core) fn max_input_tokens(&self) -> Option<i64> {
        self.integer(&["max_in_tokens", "max_input_tokens", "maxInputTokens"])
            .filter(|tokens| *tokens > 0)
    }
}

/// Temperature without a setting; agents hand on only others.
pub(in crate::core) const DEFAULT_TEMPERATURE: f64 = 0.7;
