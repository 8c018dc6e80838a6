//! What travels between a model, a ledger and a tool: calls and results.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A JSON object with its keys in the order of arrival.
pub type Object = Map<String, Value>;

/// One call that a model or a flow asked for.
#[derive(Clone, PartialEq)]
pub struct ToolCall {
    /// Tool name, trimmed.
    pub name: String,
    /// Arguments by name, as sent.
    pub arguments: Object,
    /// Id chosen by the model; the kernel fills a missing one before a batch is run.
    pub call_id: String,
    /// Id chosen by the runtime: stable over retries, used as idempotency key.
    pub runtime_call_id: Option<String>,
}

/// Arguments may carry anything a user said: they stay out of logs.
impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall")
            .field("name", &self.name)
            .field("call_id", &self.call_id)
            .field("runtime_call_id", &self.runtime_call_id)
            .finish_non_exhaustive()
    }
}

impl ToolCall {
    /// Reads a call from a ledger payload; `None` when the entry is not an object.
    ///
    /// Arguments given as JSON text are parsed, whatever is not an object then counts as no arguments.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let entry = value.as_object()?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().trim();
        let arguments = match entry.get("arguments") {
            Some(Value::Object(object)) => object.clone(),
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            _ => Object::new(),
        };
        let runtime_call_id = text("runtime_call_id");
        Some(Self {
            name: text("name").to_owned(),
            arguments,
            call_id: text("call_id").to_owned(),
            runtime_call_id: (!runtime_call_id.is_empty()).then(|| runtime_call_id.to_owned()),
        })
    }

    /// `{name, arguments, call_id[, runtime_call_id]}`, the shape of wait details.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut call = Object::new();
        call.insert("name".to_owned(), Value::String(self.name.clone()));
        call.insert("arguments".to_owned(), Value::Object(self.arguments.clone()));
        call.insert("call_id".to_owned(), Value::String(self.call_id.clone()));
        if let Some(id) = &self.runtime_call_id {
            call.insert("runtime_call_id".to_owned(), Value::String(id.clone()));
        }
        Value::Object(call)
    }
}

/// The answer to one call. A tool that fails gives a value too: the run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// As in the call.
    pub call_id: String,
    /// As in the call.
    pub runtime_call_id: Option<String>,
    /// As in the call.
    pub name: String,
    /// False when `error` says why.
    pub success: bool,
    /// Text or object; null after most failures.
    pub output: Value,
    /// Failure text.
    pub error: Option<String>,
    /// Pictures and the like that came with the output. They are no part of the record: whoever runs the call stores
    /// them and names them in the output.
    pub media: Vec<ToolMedia>,
}

/// Content of a result that is no text.
#[derive(Clone, PartialEq)]
pub struct ToolMedia {
    /// MIME type.
    pub content_type: String,
    /// The bytes.
    pub data: Bytes,
}

impl fmt::Debug for ToolMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolMedia({}, {} bytes)", self.content_type, self.data.len())
    }
}

impl ToolResult {
    /// A success.
    #[must_use]
    pub fn success(call: &ToolCall, output: Value) -> Self {
        Self {
            success: true,
            output,
            error: None,
            ..Self::failure(call, String::new())
        }
    }

    /// A failure without output.
    #[must_use]
    pub fn failure(call: &ToolCall, error: impl Into<String>) -> Self {
        Self {
            call_id: call.call_id.clone(),
            runtime_call_id: call.runtime_call_id.clone(),
            name: call.name.clone(),
            success: false,
            output: Value::Null,
            error: Some(error.into()),
            media: Vec::new(),
        }
    }

    /// `{call_id, runtime_call_id, name, success, output, error}`, the record of the ledger.
    #[must_use]
    pub fn into_value(self) -> Value {
        json!({
            "call_id": self.call_id,
            "runtime_call_id": self.runtime_call_id,
            "name": self.name,
            "success": self.success,
            "output": self.output,
            "error": self.error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_leniently() {
        let call = ToolCall::from_value(
            &json!({"name": " read_file ", "arguments": "{\"file_path\": \"a\"}",
            "call_id": "c", "runtime_call_id": "r"}),
        )
        .expect("object");
        assert_eq!(call.name, "read_file");
        assert_eq!(call.arguments["file_path"], "a");
        assert_eq!(
            call.to_value(),
            json!({"name": "read_file", "arguments": {"file_path": "a"}, "call_id": "c", "runtime_call_id": "r"})
        );
        assert!(ToolCall::from_value(&json!("read_file")).is_none());
        let odd = ToolCall::from_value(&json!({"name": 3, "arguments": "[1]"})).expect("object");
        assert_eq!(
            (odd.name.as_str(), odd.arguments.len(), odd.runtime_call_id),
            ("", 0, None)
        );
    }

    #[test]
    fn debug_output_keeps_arguments_to_itself() {
        let call = ToolCall::from_value(&json!({"name": "t", "arguments": {"password": "hunter2"}}))
            .expect("object");
        assert!(!format!("{call:?}").contains("hunter2"));
    }
}
