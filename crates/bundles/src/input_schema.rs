//! What a flow wants to be started with, read from its first `on_flow_start` node.

mod pin_types;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::flow::{self, Object};

/// One parameter of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Pin id = run variable.
    pub id: String,
    /// Display name; the id where none is given.
    pub label: String,
    /// Raw pin type, `unknown` where none is given.
    pub pin_type: String,
    /// The pin's default, present even when it is null.
    pub default: Option<Value>,
    /// JSON Schema of the value.
    pub schema: Object,
}

impl Input {
    /// A pin without default must be given (not enforced at start).
    #[must_use]
    pub const fn required(&self) -> bool {
        self.default.is_none()
    }

    /// The form in a bundle's details.
    #[must_use]
    pub fn summary(&self) -> Object {
        let mut out = Object::new();
        out.insert("id".into(), json!(self.id));
        out.insert("label".into(), json!(self.label));
        out.insert("type".into(), json!(self.pin_type));
        if let Some(default) = &self.default {
            out.insert("default".into(), default.clone());
        }
        out
    }

    fn full(&self) -> Value {
        let mut out = self.summary();
        out.insert("required".into(), json!(self.required()));
        out.insert("schema".into(), Value::Object(self.schema.clone()));
        Value::Object(out)
    }
}

/// The parameters of a flow document, in pin order; none when it has no start node.
#[must_use]
pub fn inputs(document: &Object) -> Vec<Input> {
    let Some(data) = flow::nodes(document)
        .find(|node| flow::is_type(node, "on_flow_start"))
        .and_then(flow::data)
    else {
        return Vec::new();
    };
    let defaults = data.get("pinDefaults").and_then(Value::as_object);
    flow::objects(data.get("outputs"))
        .filter_map(|pin| {
            let id = flow::text(pin, "id")?;
            let pin_type = flow::text(pin, "type").unwrap_or("unknown");
            if matches!(id, "exec-out" | "exec") || pin_type == "execution" {
                return None;
            }
            let label = flow::text(pin, "label").unwrap_or(id);
            let default = defaults.and_then(|defaults| defaults.get(id)).cloned();
            Some(Input {
                id: id.to_owned(),
                label: label.to_owned(),
                pin_type: pin_type.to_owned(),
                schema: schema(
                    pin,
                    pin_type,
                    Some(label).filter(|label| *label != id),
                    default.as_ref(),
                ),
                default,
            })
        })
        .collect()
}

fn schema(pin: &Object, pin_type: &str, title: Option<&str>, default: Option<&Value>) -> Object {
    let mut schema = pin_types::schema(pin_type);
    schema.insert("x-abstract-type".into(), json!(pin_type));
    if let Some(title) = title {
        schema.insert("title".into(), json!(title));
    }
    if let Some(default) = default {
        schema.insert("default".into(), default.clone());
    }
    if let Some(own) = pin.get("schema").and_then(Value::as_object) {
        schema.extend(own.clone());
    }
    schema
}

/// The members `version, inputs, defaults, input_data_schema` of the `input_schema` answer; the caller
/// puts the identity keys before them.
#[must_use]
pub fn document(flow: &Object) -> Object {
    let inputs = inputs(flow);
    let mut defaults = Object::new();
    let mut properties = Object::new();
    for input in &inputs {
        if let Some(default) = &input.default {
            defaults.insert(input.id.clone(), default.clone());
        }
        properties.insert(input.id.clone(), Value::Object(input.schema.clone()));
    }
    let required: Vec<&str> = inputs
        .iter()
        .filter(|input| input.required())
        .map(|input| input.id.as_str())
        .collect();
    let mut schema = Object::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("additionalProperties".into(), json!(true));
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    let mut out = Object::new();
    out.insert("version".into(), json!(1));
    out.insert("inputs".into(), inputs.iter().map(Input::full).collect());
    out.insert("defaults".into(), Value::Object(defaults));
    out.insert("input_data_schema".into(), Value::Object(schema));
    out
}
