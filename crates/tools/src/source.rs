//! Tools that come from elsewhere, such as tool servers.
//!
//! Their names carry their origin (`mcp::<server>::<tool>`), so they can neither shadow a tool of ours nor each other.
//! What a server says about its tools is not believed where it matters: whether a call may run without asking is the
//! operator's decision, never the server's.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::call::{Object, ToolCall, ToolMedia};
use crate::context::ToolContext;

/// One tool of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcedTool {
    /// Full name, unique over all sources.
    pub name: String,
    /// For the model.
    pub description: String,
    /// JSON Schema of the arguments, an object schema.
    pub schema: Value,
    /// Toolset in catalogues.
    pub toolset: String,
}

impl SourcedTool {
    /// The item of `GET /discovery/tools`. An argument that the schema does not require has a null default, where it
    /// names none.
    #[must_use]
    pub fn discovery(&self) -> Value {
        let empty = Object::new();
        let properties = self
            .schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let mut required: Vec<&str> = self
            .schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| properties.contains_key(*name))
            .collect();
        required.sort_unstable();
        let parameters: Object = properties
            .iter()
            .map(|(name, property)| {
                let mut schema = Object::new();
                for key in ["type", "items", "enum", "description", "default"] {
                    schema.extend(property.get(key).map(|value| (key.to_owned(), value.clone())));
                }
                if required.contains(&name.as_str()) {
                    schema.shift_remove("default");
                } else {
                    schema.entry("default").or_insert(Value::Null);
                }
                (name.clone(), Value::Object(schema))
            })
            .collect();
        json!({
            "name": self.name,
            "description": self.description,
            "when_to_use": "",
            "parameters": parameters,
            "required_args": required,
            "examples": [],
            "toolset": self.toolset,
        })
    }

    /// `{name, description, parameters}`, the function part of a model request.
    #[must_use]
    pub fn model(&self) -> Value {
        json!({ "name": self.name, "description": self.description, "parameters": self.schema })
    }
}

/// What a call of a source gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceAnswer {
    /// The tool's output.
    pub output: Value,
    /// What came with it.
    pub media: Vec<ToolMedia>,
}

impl From<Value> for SourceAnswer {
    fn from(output: Value) -> Self {
        Self {
            output,
            media: Vec::new(),
        }
    }
}

/// Where further tools come from.
#[async_trait]
pub trait ToolSource: Send + Sync {
    /// Whether a name is this source's, whether or not the tool can be reached at this moment.
    fn owns(&self, name: &str) -> bool;

    /// What it offers at this moment, by name.
    fn tools(&self) -> Vec<SourcedTool>;

    /// Names that the operator lets run without asking.
    fn auto_approved(&self) -> Vec<String>;

    /// Runs one call. What goes wrong is a text for the model.
    ///
    /// # Errors
    /// That text.
    async fn call(&self, call: &ToolCall, ctx: &ToolContext) -> Result<SourceAnswer, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_tell_required_from_optional_arguments() {
        let tool = SourcedTool {
            name: "mcp::a::f".to_owned(),
            description: "d".to_owned(),
            schema: json!({"type": "object", "properties": {
                "z": {"type": "string", "description": "zed", "title": "Z", "default": "x"},
                "n": {"type": "integer"}, "m": {"type": "integer", "default": 3}},
                "required": ["z", "gone"]}),
            toolset: "mcp:a".to_owned(),
        };
        let item = tool.discovery();
        assert_eq!(
            item["parameters"],
            json!({"z": {"type": "string", "description": "zed"}, "n": {"type": "integer", "default": null},
                "m": {"type": "integer", "default": 3}})
        );
        assert_eq!(item["required_args"], json!(["z"]));
        assert_eq!(tool.model()["parameters"], tool.schema);
    }
}
