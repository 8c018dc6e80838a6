//! Media references of a start, gathered where agents look for them: `context.attachments`.

use std::collections::HashSet;

use ag_types::Object;
use serde_json::Value;

const LISTS: [&str; 2] = ["attachments", "media"];

/// Merges `attachments` and `media` of the context, of its messages and of the input itself, without repetition,
/// unless `context.attachments` holds references already.
pub(super) fn merge(vars: &mut Object) {
    let context = vars.get("context").and_then(Value::as_object);
    let settled = context
        .and_then(|context| context.get("attachments"))
        .is_some_and(|list| !valid(list).is_empty());
    if settled
        || vars
            .get("context")
            .is_some_and(|context| !context.is_object() && !context.is_null())
    {
        return;
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for holder in context
        .into_iter()
        .chain(messages(context))
        .chain(messages(Some(vars)))
        .chain([&*vars])
    {
        for item in LISTS.iter().filter_map(|list| holder.get(*list)).flat_map(valid) {
            if seen.insert(name(item).unwrap_or_default().to_owned()) {
                found.push(item.clone());
            }
        }
    }
    if found.is_empty() {
        return;
    }
    ag_kernel::vars::object_at(vars, "context").insert("attachments".to_owned(), Value::Array(found));
}

fn messages(holder: Option<&Object>) -> impl Iterator<Item = &Object> {
    let list = holder
        .and_then(|holder| holder.get("messages"))
        .and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

/// The references of a list, or of a single one in its place.
fn valid(list: &Value) -> Vec<&Value> {
    match list {
        Value::Array(items) => items.iter().filter(|item| name(item).is_some()).collect(),
        item if name(item).is_some() => vec![item],
        _ => Vec::new(),
    }
}

/// What makes a reference itself: its artifact id, or its path.
fn name(item: &Value) -> Option<&str> {
    let text = match item {
        Value::String(path) => Some(path.as_str()),
        Value::Object(item) => ["$artifact", "artifact_id", "path"]
            .into_iter()
            .find_map(|key| item.get(key)?.as_str()),
        _ => None,
    };
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_gathered_once() {
        for (given, expected) in [
            (json!({"x": 1}), json!({"x": 1})),
            (
                json!({"attachments": [{"$artifact": "a"}, {"artifact_id": "a"}, "p.txt", " ", 3], "media": ["p.txt"]}),
                json!([{"$artifact": "a"}, "p.txt"]),
            ),
            (
                json!({"context": {"messages": [{"media": [{"$artifact": "m"}]}], "media": {"$artifact": "c"}}}),
                json!([{"$artifact": "c"}, {"$artifact": "m"}]),
            ),
            (
                json!({"context": {"attachments": [{"$artifact": "kept"}]}, "media": ["new"]}),
                json!([{"$artifact": "kept"}]),
            ),
            (
                json!({"context": {"attachments": []}, "media": ["new"]}),
                json!(["new"]),
            ),
        ] {
            let Value::Object(mut vars) = given.clone() else {
                panic!("object")
            };
            merge(&mut vars);
            let merged = vars.get("context").and_then(|context| context.get("attachments"));
            assert_eq!(
                merged.unwrap_or(&Value::Object(vars.clone())),
                &expected,
                "{given}"
            );
        }
    }
}
