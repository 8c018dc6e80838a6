//! Variables of a child run (visualflow spec §6.5).

use std::collections::HashSet;

use crate::prelude::*;

/// Inputs that steer the node and are never handed to the child.
const PRIVATE: [&str; 6] = [
    "inherit_context",
    "inheritContext",
    "child_session_id",
    "childSessionId",
    "session_id",
    "sessionId",
];

/// Session that the child shall use instead of its parent's.
pub(super) fn session(inputs: &Inputs<'_>) -> Option<String> {
    PRIVATE[2..].iter().find_map(|pin| opt_text(inputs, pin))
}

/// Variables the child starts with.
pub(super) fn build(inputs: &Inputs<'_>, parent: &Object) -> Object {
    let object = |pin: &str| {
        inputs
            .get(pin)
            .and_then(Value::as_object)
            .filter(|object| !object.is_empty())
    };
    let base = object("vars").or_else(|| object("input"));
    let mut child = base.cloned().unwrap_or_default();
    let pins: Vec<_> = inputs
        .config
        .inputs
        .iter()
        .flatten()
        .filter(|pin| !private(&pin.id))
        .collect();
    for pin in &pins {
        let is_base = matches!(pin.id.as_str(), "vars" | "input") && object(&pin.id).is_some();
        if let Some(value) = inputs.get(&pin.id).filter(|_| !is_base) {
            child.insert(pin.id.clone(), value.clone());
        }
    }
    let declares_none = inputs.config.inputs.as_deref().is_none_or(<[_]>::is_empty);
    if declares_none && base.is_none() {
        let all = inputs.values.iter().filter(|(pin, _)| !private(pin));
        child.extend(all.map(|(pin, value)| (pin.clone(), value.clone())));
    }
    if inherits(inputs) {
        inherit(&mut child, parent);
    }
    child
}

fn private(pin: &str) -> bool {
    PRIVATE.contains(&pin)
}

/// Whether the child gets the parent's conversation.
pub(super) fn inherits(inputs: &Inputs<'_>) -> bool {
    let pins = inputs
        .non_null("inherit_context")
        .or_else(|| inputs.non_null("inheritContext"));
    let config = || {
        inputs
            .config
            .effect_config("inherit_context")
            .or_else(|| inputs.config.effect_config("inheritContext"))
    };
    pins.or_else(config)
        .is_some_and(|value| coerce_bool(value).unwrap_or(false))
}

/// Puts the parent's conversation in front of the child's: system messages of the child, of the parent, the
/// parent's other messages, the child's other messages; a message id appears once.
fn inherit(child: &mut Object, parent: &Object) {
    let parent = parent.get("context");
    let list = |context: Option<&Value>| -> Vec<Value> {
        context
            .and_then(|context| context.get("messages"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let is_system = |message: &Value| message.get("role").and_then(Value::as_str) == Some("system");
    let (own_system, own) = list(child.get("context"))
        .into_iter()
        .partition::<Vec<_>, _>(is_system);
    let (system, conversation) = list(parent).into_iter().partition::<Vec<_>, _>(is_system);
    let mut seen = HashSet::new();
    let messages: Vec<_> = [own_system, system, conversation, own]
        .into_iter()
        .flatten()
        .filter(|message| {
            let id = message
                .get("metadata")
                .and_then(|metadata| metadata.get("message_id"))
                .and_then(opt_str);
            id.is_none_or(|id| seen.insert(id))
        })
        .collect();
    let context = vars::object_at(child, "context");
    context.insert("messages".to_owned(), messages.into());
    if let Some(attachments) = parent
        .and_then(|parent| parent.get("attachments"))
        .filter(|list| !list.is_null())
    {
        context
            .entry("attachments")
            .or_insert_with(|| attachments.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::inputs;

    fn child(pins: &[&str], values: Value) -> Value {
        let config = crate::testing::config(&json!({"inputs": pins}));
        Value::Object(build(&inputs(&config, values), &Object::new()))
    }

    #[test]
    fn pins_and_bases_are_merged() {
        assert_eq!(child(&["x", "y"], json!({"x": 2, "ambient": 1})), json!({"x": 2}));
        assert_eq!(child(&[], json!({"a": 1, "session_id": "s"})), json!({"a": 1}));
        assert_eq!(child(&["input"], json!({"input": {"a": 1}})), json!({"a": 1}));
        assert_eq!(
            child(&["input", "b"], json!({"input": "text", "b": 2})),
            json!({"input": "text", "b": 2})
        );
        assert_eq!(
            child(&["vars", "b"], json!({"vars": {"a": 1}, "b": 2})),
            json!({"a": 1, "b": 2})
        );
        assert_eq!(
            child(&["vars"], json!({"vars": {}})),
            json!({"vars": {}}),
            "an empty object is no base"
        );
        assert_eq!(
            child(
                &["inherit_context", "q"],
                json!({"inherit_context": false, "q": 1})
            ),
            json!({"q": 1})
        );
    }

    #[test]
    fn the_conversation_of_the_parent_comes_first() {
        let mut own = json!({"context": {"task": "T", "messages": [
            {"role": "user", "content": "c", "metadata": {"message_id": "2"}}, {"role": "system", "content": "cs"},
        ]}});
        let parent = json!({"context": {"attachments": [1], "messages": [
            {"role": "user", "content": "p", "metadata": {"message_id": "2"}}, {"role": "system", "content": "ps"},
        ]}});
        inherit(
            own.as_object_mut().expect("object"),
            parent.as_object().expect("object"),
        );
        let contents: Vec<_> = own["context"]["messages"]
            .as_array()
            .expect("list")
            .iter()
            .map(|m| m["content"].clone())
            .collect();
        assert_eq!(contents, ["cs", "ps", "p"]);
        assert_eq!(own["context"]["attachments"], json!([1]));
        assert_eq!(own["context"]["task"], "T");
    }
}
