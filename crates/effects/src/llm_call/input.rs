//! The payload, and the run variables that fill its gaps.

use ag_kernel::prepare::strip_grounding;
use ag_kernel::vars;
use ag_pyvalue::{coerce_bool, opt_float, opt_int, truthy};
use ag_types::Object;
use serde_json::Value;

use super::{text_of, value_of};

/// A call as asked for.
pub(super) struct Input<'a> {
    payload: &'a Object,
    params: Option<&'a Object>,
    vars: &'a Object,
}

impl<'a> Input<'a> {
    pub(super) fn new(payload: &'a Object, vars: &'a Object) -> Self {
        Self {
            payload,
            params: payload.get("params").and_then(Value::as_object),
            vars,
        }
    }

    /// # Errors
    /// The contract's text for a call that says nothing to the model.
    pub(super) fn check(&self) -> Result<(), String> {
        let media = self.payload.get("media").is_some_and(truthy);
        let output = self.makes_media();
        if self.prompt().is_some() || !self.messages().is_empty() || (media && output) {
            return Ok(());
        }
        Err(if media || output {
            "llm_call requires payload.prompt, payload.messages, payload.text, or media with payload.output"
                .to_owned()
        } else {
            "llm_call requires payload.prompt or payload.messages".to_owned()
        })
    }

    /// Whether pictures, speech or the like are asked for.
    pub(super) fn makes_media(&self) -> bool {
        ["output", "outputs"]
            .iter()
            .any(|key| self.payload.get(*key).is_some_and(truthy))
    }

    /// The prompt as recorded, time block included; `text` stands in for an empty one.
    pub(super) fn prompt(&self) -> Option<&'a str> {
        ["prompt", "text"].iter().find_map(|key| {
            let text = self.payload.get(*key)?.as_str()?;
            (!strip_grounding(text).trim().is_empty()).then_some(text)
        })
    }

    pub(super) fn messages(&self) -> &'a [Value] {
        self.payload
            .get("messages")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Messages of the run's context, for a call that wants them and has none of its own.
    pub(super) fn context_messages(&self) -> &'a [Value] {
        let list = vars::get_path(self.vars, "context.messages").and_then(Value::as_array);
        list.filter(|_| self.includes_context())
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn includes_context(&self) -> bool {
        ["include_context", "use_context"]
            .iter()
            .any(|key| self.flag(key) == Some(true))
    }

    pub(super) fn system_prompt(&self) -> Option<String> {
        let text = self.payload.get("system_prompt")?.as_str()?;
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    pub(super) fn tools(&self) -> &'a [Value] {
        self.payload
            .get("tools")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn payload(&self) -> &'a Object {
        self.payload
    }

    pub(super) fn params(&self) -> Option<&'a Object> {
        self.params
    }

    /// Provider and model of the payload, else of the run.
    pub(super) fn route(&self) -> (Option<String>, Option<String>) {
        let own = (text_of(self.payload, "provider"), text_of(self.payload, "model"));
        if own.0.is_some() || own.1.is_some() {
            return own;
        }
        let of_run = |key: &str| self.runtime(key).and_then(ag_pyvalue::opt_str);
        (of_run("provider"), of_run("model"))
    }

    pub(super) fn base_url(&self) -> Option<String> {
        self.param("base_url")
            .or_else(|| value_of(self.payload, "base_url"))
            .and_then(ag_pyvalue::opt_str)
    }

    pub(super) fn response_schema(&self) -> Option<&'a Value> {
        self.payload
            .get("response_schema")
            .filter(|schema| truthy(schema))
    }

    pub(super) fn response_schema_name(&self) -> Option<String> {
        text_of(self.payload, "response_schema_name")
    }

    pub(super) fn structured_fallback(&self) -> bool {
        self.flag("structured_output_fallback") == Some(true)
    }

    pub(super) fn thinking(&self) -> Option<Value> {
        self.param("thinking")
            .or_else(|| self.runtime("thinking"))
            .cloned()
    }

    /// Budget of the request in estimated tokens.
    pub(super) fn max_input_tokens(&self) -> Option<u64> {
        if self.runtime("disable_input_trimming").is_some_and(truthy) {
            return None;
        }
        positive(value_of(self.payload, "max_input_tokens"))
            .or_else(|| positive(self.limit("max_input_tokens")))
    }

    /// Budget of the answer: of the parameters, of the payload, of the run. Values of 0 and below mean none.
    pub(super) fn max_output_tokens(&self) -> Option<u64> {
        let params = ["max_output_tokens", "max_tokens"]
            .iter()
            .find_map(|key| self.param(key));
        let payload = || {
            ["max_output_tokens", "max_out_tokens"]
                .iter()
                .find_map(|key| value_of(self.payload, key))
        };
        let given = params
            .or_else(payload)
            .or_else(|| self.limit("max_output_tokens"));
        positive(given)
    }

    /// A bound that raised budgets never pass.
    pub(super) fn output_caps(&self) -> impl Iterator<Item = u64> {
        let own = positive(value_of(self.payload, "max_output_tokens_cap"));
        own.into_iter().chain(positive(self.limit("max_output_tokens")))
    }

    /// A number of the parameters.
    pub(super) fn float(&self, key: &str) -> Option<f64> {
        self.param(key)
            .and_then(opt_float)
            .filter(|value| value.is_finite())
    }

    /// A whole number of the parameters.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        self.param(key).and_then(opt_int)
    }

    pub(super) fn stop(&self) -> Vec<String> {
        match self.param("stop") {
            Some(Value::String(text)) if !text.is_empty() => vec![text.clone()],
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn timeout_s(&self) -> Option<f64> {
        // A day; larger values do not fit into a duration.
        const MOST: f64 = 86_400.0;
        let given = self.float("timeout_s").or_else(|| self.float("timeout"))?;
        (given > 0.0).then(|| given.min(MOST))
    }

    /// Further members of the request body.
    pub(super) fn extra_body(&self) -> Object {
        self.param("extra_body")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    /// A member of `params` that is neither absent nor null.
    pub(super) fn param(&self, key: &str) -> Option<&'a Value> {
        value_of(self.params?, key)
    }

    /// A member of `_runtime` that is neither absent nor null.
    pub(super) fn runtime(&self, key: &str) -> Option<&'a Value> {
        value_of(self.vars.get("_runtime")?.as_object()?, key)
    }

    fn limit(&self, key: &str) -> Option<&'a Value> {
        value_of(self.vars.get("_limits")?.as_object()?, key)
    }

    /// A boolean of the payload; texts such as `"true"` count.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        value_of(self.payload, key).and_then(coerce_bool)
    }
}

/// A whole number above 0.
pub(super) fn positive(value: Option<&Value>) -> Option<u64> {
    u64::try_from(opt_int(value?)?).ok().filter(|value| *value > 0)
}
