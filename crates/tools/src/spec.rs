//! Tool descriptions as data: one source for the catalogue, for models and for argument checks.

use serde_json::{Value, json};

use crate::call::Object;

/// JSON type of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgType {
    /// Text.
    String,
    /// Whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// List of texts.
    Strings,
    /// Object with any keys.
    Object,
}

impl ArgType {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Strings => "array",
            Self::Object => "object",
        }
    }
}

/// One argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Name on the wire.
    pub name: &'static str,
    /// JSON type.
    pub kind: ArgType,
    /// `None` makes the argument required; a null default makes it optional without a value.
    pub default: Option<Value>,
    /// For the model; the catalogue does not publish it.
    pub about: &'static str,
}

impl Arg {
    /// An argument that must be given.
    #[must_use]
    pub fn required(name: &'static str, kind: ArgType, about: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            about,
        }
    }

    /// An argument with a default (null: none).
    #[must_use]
    pub fn optional(
        name: &'static str,
        kind: ArgType,
        default: impl Into<Value>,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: Some(default.into()),
            about,
        }
    }

    fn schema(&self) -> Object {
        let mut schema = Object::new();
        schema.insert("type".to_owned(), Value::from(self.kind.name()));
        if self.kind == ArgType::Strings {
            schema.insert("items".to_owned(), json!({"type": "string"}));
        }
        schema
    }
}

/// A call that shows how a tool is meant.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it does.
    pub description: &'static str,
    /// Its arguments.
    pub arguments: Value,
}

/// Everything that is published about a tool.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// What it does, for a model.
    pub description: &'static str,
    /// When to choose it.
    pub when_to_use: &'static str,
    /// In the order in which a person would give them.
    pub args: Vec<Arg>,
    /// Sample calls.
    pub examples: Vec<Example>,
    /// `files`, `system`, `web`, or `agent` for the built-ins of agents.
    pub toolset: &'static str,
    /// Search words.
    pub tags: &'static [&'static str],
}

impl ToolSpec {
    /// The item of `GET /discovery/tools`.
    #[must_use]
    pub fn discovery(&self) -> Value {
        let parameters: Object = self
            .args
            .iter()
            .map(|arg| {
                let mut schema = arg.schema();
                if let Some(default) = &arg.default {
                    schema.insert("default".to_owned(), default.clone());
                }
                (arg.name.to_owned(), Value::Object(schema))
            })
            .collect();
        let mut required: Vec<&str> = self.required().collect();
        required.sort_unstable();
        let examples: Vec<Value> = self
            .examples
            .iter()
            .map(|example| json!({"description": example.description, "arguments": example.arguments}))
            .collect();
        let mut item = Object::new();
        item.insert("name".to_owned(), json!(self.name));
        item.insert("description".to_owned(), json!(self.description));
        item.insert("when_to_use".to_owned(), json!(self.when_to_use));
        item.insert("parameters".to_owned(), Value::Object(parameters));
        item.insert("required_args".to_owned(), json!(required));
        item.insert("examples".to_owned(), json!(examples));
        item.insert("toolset".to_owned(), json!(self.toolset));
        if !self.tags.is_empty() {
            item.insert("tags".to_owned(), json!(self.tags));
        }
        Value::Object(item)
    }

    /// `{name, description, parameters}` with a JSON schema, the function part of a model request.
    ///
    /// Property `default` keys are left out: several providers refuse them.
    #[must_use]
    pub fn model(&self) -> Value {
        let properties: Object = self
            .args
            .iter()
            .map(|arg| {
                let mut schema = arg.schema();
                schema.insert("description".to_owned(), json!(arg.about));
                (arg.name.to_owned(), Value::Object(schema))
            })
            .collect();
        json!({
            "name": self.name,
            "description": self.description,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": self.required().collect::<Vec<_>>(),
            },
        })
    }

    /// Names of the arguments without a default, in declaration order.
    pub fn required(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.args
            .iter()
            .filter(|arg| arg.default.is_none())
            .map(|arg| arg.name)
    }
}
