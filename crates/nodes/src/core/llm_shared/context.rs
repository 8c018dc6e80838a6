//! Messages of a model call from the conversation of a run.

use crate::prelude::*;

/// Fields of a message that models understand.
const FIELDS: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

fn is_system(message: &Value) -> bool {
    role(message) == "system"
}

/// The conversation of the run: system messages, then the last `_limits.max_history_messages` others (−1: all).
pub(in crate::core) fn active(vars: &Object) -> Vec<Value> {
    let messages = vars::get_path(vars, "context.messages").and_then(Value::as_array);
    let objects = messages
        .into_iter()
        .flatten()
        .filter(|message| message.is_object())
        .cloned();
    let (mut system, mut others) = objects.partition::<Vec<_>, _>(is_system);
    let limit = vars::get_path(vars, "_limits.max_history_messages")
        .and_then(opt_int)
        .unwrap_or(-1);
    if let Ok(limit) = usize::try_from(limit) {
        others.drain(..others.len().saturating_sub(limit));
    }
    system.append(&mut others);
    system
}

/// Messages that memory brought back into the conversation.
pub(in crate::core) fn rehydrated(vars: &Object) -> Vec<Value> {
    let messages = vars::get_path(vars, "context.messages").and_then(Value::as_array);
    let mark = |message: &&Value| vars_flag(message, "rehydrated");
    messages.into_iter().flatten().filter(mark).cloned().collect()
}

fn vars_flag(message: &Value, key: &str) -> bool {
    message.get("metadata").and_then(|metadata| metadata.get(key)) == Some(&Value::Bool(true))
}

/// The message lists of a `context` input, if it has one.
pub(in crate::core) fn messages_of(context: Option<&Value>) -> Option<Vec<Value>> {
    let messages = context?.get("messages")?.as_array()?;
    Some(
        messages
            .iter()
            .filter(|message| message.is_object())
            .cloned()
            .collect(),
    )
}

/// Attachments of the run's conversation, unless there are none.
pub(in crate::core) fn attachments(vars: &Object) -> Option<&Value> {
    vars::get_path(vars, "context.attachments")
        .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
}

/// The history with a system message after its leading system messages and the prompt at its end.
pub(in crate::core) fn compose(history: Vec<Value>, system: &str, prompt: &str) -> Vec<Value> {
    let mut messages: Vec<Value> = history.iter().map(plain).collect();
    if !system.trim().is_empty() {
        insert_system(&mut messages, system);
    }
    if !prompt.is_empty() {
        messages.push(json!({"role": "user", "content": prompt}));
    }
    messages
}

/// A message with nothing but what models understand.
fn plain(message: &Value) -> Value {
    let field = |key: &&str| {
        Some((
            (**key).to_owned(),
            message.get(*key).filter(|value| !value.is_null())?.clone(),
        ))
    };
    Value::Object(FIELDS.iter().filter_map(field).collect())
}

/// Puts a system message after the leading ones.
pub(in crate::core) fn insert_system(messages: &mut Vec<Value>, text: &str) {
    let at = messages
        .iter()
        .position(|message| !is_system(message))
        .unwrap_or(messages.len());
    messages.insert(at, json!({"role": "system", "content": text}));
}

/// Drops the oldest messages until the estimate fits; system messages and the last message stay.
pub(in crate::core) fn trim(messages: &mut Vec<Value>, max_tokens: i64) {
    let mut total: i64 = messages.iter().map(estimate).sum();
    let last = messages.len().saturating_sub(1);
    let mut at = 0;
    messages.retain(|message| {
        let drop = total > max_tokens && at < last && !is_system(message);
        if drop {
            total -= estimate(message);
        }
        at += 1;
        !drop
    });
}

/// Tokens of a message: one for four characters of `<role>: <content>`.
fn estimate(message: &Value) -> i64 {
    let content = message.get("content").map(pystr).unwrap_or_default();
    let chars = role(message).chars().count() + 2 + content.chars().count();
    i64::try_from(chars.div_ceil(4)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(value: Value) -> Object {
        value.as_object().cloned().expect("object")
    }

    fn contents(messages: &[Value]) -> Vec<&str> {
        messages
            .iter()
            .filter_map(|message| message["content"].as_str())
            .collect()
    }

    #[test]
    fn the_system_stays_in_front_and_the_history_is_limited() {
        let messages = json!([
            {"role": "user", "content": "1"}, {"role": "system", "content": "s"}, {"role": "assistant", "content": "2"},
            {"role": "user", "content": "3", "timestamp": "t", "metadata": {"rehydrated": true}},
        ]);
        for (limit, expected) in [
            (-1, vec!["s", "1", "2", "3"]),
            (2, vec!["s", "2", "3"]),
            (0, vec!["s"]),
        ] {
            let vars =
                vars(json!({"context": {"messages": messages}, "_limits": {"max_history_messages": limit}}));
            assert_eq!(contents(&active(&vars)), expected);
            assert_eq!(contents(&rehydrated(&vars)), ["3"]);
        }
        let vars = vars(json!({"context": {"messages": messages}}));
        let composed = compose(active(&vars), "extra", "ask");
        assert_eq!(contents(&composed), ["s", "extra", "1", "2", "3", "ask"]);
        assert_eq!(composed[4], json!({"role": "user", "content": "3"}));
    }

    #[test]
    fn trimming_keeps_system_and_last() {
        let long = "x".repeat(400);
        let mut messages = vec![
            json!({"role": "system", "content": long}),
            json!({"role": "user", "content": long}),
            json!({"role": "assistant", "content": "newer"}),
            json!({"role": "user", "content": "last"}),
        ];
        trim(&mut messages, 130);
        assert_eq!(contents(&messages), [long.as_str(), "newer", "last"]);
        trim(&mut messages, 1);
        assert_eq!(contents(&messages), [long.as_str(), "last"]);
        trim(&mut Vec::new(), 1);
    }
}
