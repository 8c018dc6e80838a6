//! `edit_json_schema`: A JSON schema with further properties; existing ones are never changed.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "edit_json_schema",
        title: "Add Schema Fields",
        family: "literals",
        doc: "A JSON schema with further properties; existing ones are never changed.",
        inputs: &[pin("schema", "json_schema")],
        outputs: &[pin("schema", "json_schema")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut schema = inputs
        .get("schema")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let Some(additions) = inputs.config.literal().and_then(Value::as_object) else {
        return Ok(one("schema", Value::Object(schema)));
    };
    if schema.is_empty() {
        schema.extend(
            additions
                .get("type")
                .map(|kind| ("type".to_owned(), kind.clone())),
        );
    }
    let added = add_missing(&mut schema, additions, "properties");
    let required: Vec<Value> = additions
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|name| {
            name.as_str()
                .is_some_and(|name| added.iter().any(|added| added == name))
        })
        .cloned()
        .collect();
    if !required.is_empty() {
        let list = schema.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = list {
            let new: Vec<_> = required
                .into_iter()
                .filter(|name| !names.contains(name))
                .collect();
            names.extend(new);
        }
    }
    add_missing(&mut schema, additions, "$defs");
    Ok(one("schema", Value::Object(schema)))
}

/// Adds the members of `additions[section]` that the schema lacks and returns their names.
fn add_missing(schema: &mut Object, additions: &Object, section: &str) -> Vec<String> {
    let Some(new) = additions.get(section).and_then(Value::as_object) else {
        return Vec::new();
    };
    let Value::Object(members) = schema.entry(section).or_insert_with(|| json!({})) else {
        return Vec::new();
    };
    let mut added = Vec::new();
    for (name, member) in new {
        if !members.contains_key(name) {
            members.insert(name.clone(), member.clone());
            added.push(name.clone());
        }
    }
    added
}
