//! What is added to a payload between planning and recording (kernel spec §2.3, effects spec §1.5).

use std::collections::HashSet;

use ag_types::{EffectKind, Object, StepId, Timestamp};
use serde_json::{Value, json};

/// Opening of the block that tells a model the time.
pub const GROUNDING_OPEN: &str = "<runtime_metadata>";

/// Warnings about call ids for `_flow_warnings`; empty for other effects.
pub fn tool_warnings(node: &str, kind: EffectKind, payload: &Object) -> Vec<String> {
    let Some(calls) = payload
        .get("tool_calls")
        .and_then(Value::as_array)
        .filter(|_| kind == EffectKind::ToolCalls)
    else {
        return Vec::new();
    };
    let ids = calls
        .iter()
        .filter_map(Value::as_object)
        .map(|call| call_id(call).unwrap_or_default());
    let (mut seen, mut missing, mut twice) = (HashSet::new(), 0_usize, Vec::new());
    for id in ids {
        if id.is_empty() {
            missing += 1;
        } else if !seen.insert(id) && !twice.contains(&id) {
            twice.push(id);
        }
    }
    let mut warnings = Vec::new();
    if missing > 0 {
        warnings.push(format!(
            "#WARN: TOOL_CALLS missing call_id at node '{node}' (count={missing})"
        ));
    }
    if !twice.is_empty() {
        warnings.push(format!(
            "#WARN: TOOL_CALLS duplicate call_id at node '{node}' ({})",
            twice.join(", ")
        ));
    }
    warnings
}

fn call_id(call: &Object) -> Option<&str> {
    call.get("call_id")
        .or_else(|| call.get("id"))
        .and_then(Value::as_str)
        .map(str::trim)
}

/// Completes a planned payload: runtime call ids and sorted allow-list of a tool batch, grounding of a model call.
pub fn complete(
    kind: EffectKind,
    payload: &mut Object,
    key: &str,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
) {
    match kind {
        EffectKind::ToolCalls => complete_tools(payload, key),
        EffectKind::LlmCall => ground(payload, now, zone),
        _ => {}
    }
}

fn complete_tools(payload: &mut Object, key: &str) {
    if let Some(Value::Array(calls)) = payload.get_mut("tool_calls") {
        for (i, call) in calls.iter_mut().enumerate() {
            let Value::Object(call) = call else { continue };
            let runtime_id = format!("rtcall_{key}_{}", i + 1);
            if call_id(call).unwrap_or_default().is_empty() {
                call.insert("call_id".into(), Value::String(runtime_id.clone()));
            }
            call.insert("runtime_call_id".into(), Value::String(runtime_id));
        }
    }
    if let Some(Value::Array(tools)) = payload.get_mut("allowed_tools") {
        crate::keys::sort_texts(tools);
    }
}

/// Adds `params.trace_metadata` of one attempt of a model call.
pub fn stamp_attempt(payload: &mut Object, step: StepId, key: &str, attempt: u32) {
    let params = payload.entry("params").or_insert_with(|| json!({}));
    if let Value::Object(params) = params {
        let slot = params.entry("trace_metadata").or_insert_with(|| json!({}));
        if !slot.is_object() {
            *slot = json!({});
        }
        if let Value::Object(meta) = slot {
            meta.insert("step_id".into(), Value::String(step.to_string()));
            meta.insert("effect_idempotency_key".into(), Value::String(key.to_owned()));
            meta.insert("attempt".into(), json!(attempt));
        }
    }
}

/// Puts the time block before the prompt, or before the last user message when messages are used. Calls that make
/// media are left alone.
fn ground(payload: &mut Object, now: Timestamp, zone: &jiff::tz::TimeZone) {
    let makes_media = ["output", "outputs"]
        .iter()
        .any(|key| payload.get(*key).is_some_and(|v| !v.is_null()));
    if makes_media {
        return;
    }
    let local = now.to_jiff().to_zoned(zone.clone());
    let block = format!(
        "{GROUNDING_OPEN}{{\"display\":\"[{}]\",\"local_datetime\":\"{}\"}}</runtime_metadata>\n",
        local.strftime("%Y-%m-%d %H:%M:%S"),
        local.strftime("%Y-%m-%dT%H:%M:%S%:z"),
    );
    if let Some(Value::Array(messages)) = payload.get_mut("messages").filter(|m| !is_empty_list(m)) {
        let last_user = messages
            .iter_mut()
            .rev()
            .find(|m| m.get("role").and_then(Value::as_str) == Some("user"));
        if let Some(Value::String(content)) = last_user.and_then(|m| m.get_mut("content")) {
            prefix(content, &block);
            return;
        }
    }
    if let Some(Value::String(prompt)) = payload
        .get_mut("prompt")
        .filter(|prompt| prompt.as_str() != Some(""))
    {
        prefix(prompt, &block);
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_none_or(Vec::is_empty)
}

fn prefix(text: &mut String, block: &str) {
    if !text.starts_with(GROUNDING_OPEN) {
        text.insert_str(0, block);
    }
}

/// The text without the time block that [`complete`] put before it.
pub fn strip_grounding(text: &str) -> &str {
    let Some(rest) = text.strip_prefix(GROUNDING_OPEN) else {
        return text;
    };
    match rest.find("</runtime_metadata>") {
        Some(end) => rest[end + "</runtime_metadata>".len()..].trim_start_matches('\n'),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn grounding_goes_to_the_last_user_message() {
        let mut payload = object(json!({"prompt": "", "messages": [
            {"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}));
        complete(
            EffectKind::LlmCall,
            &mut payload,
            "k",
            Timestamp::from_micros(0),
            &jiff::tz::TimeZone::UTC,
        );
        let expected = "<runtime_metadata>{\"display\":\"[1970-01-01 00:00:00]\",\"local_datetime\":\"1970-01-01T00:00:00+00:00\"}</runtime_metadata>\nb";
        assert_eq!(payload["messages"][1]["content"], expected);
        assert_eq!(payload["messages"][0]["content"], "a");
        assert_eq!(strip_grounding(expected), "b");
    }

    #[test]
    fn tool_calls_get_runtime_ids_and_warnings() {
        let mut payload = object(
            json!({"tool_calls": [{"name": "a"}, {"name": "b", "call_id": "x"}, {"name": "c", "call_id": "x"}], "allowed_tools": ["z", "a"]}),
        );
        assert_eq!(
            tool_warnings("n", EffectKind::ToolCalls, &payload),
            [
                "#WARN: TOOL_CALLS missing call_id at node 'n' (count=1)",
                "#WARN: TOOL_CALLS duplicate call_id at node 'n' (x)"
            ]
        );
        complete(
            EffectKind::ToolCalls,
            &mut payload,
            "k",
            Timestamp::from_micros(0),
            &jiff::tz::TimeZone::UTC,
        );
        assert_eq!(payload["tool_calls"][0]["call_id"], "rtcall_k_1");
        assert_eq!(payload["tool_calls"][2]["runtime_call_id"], "rtcall_k_3");
        assert_eq!(payload["allowed_tools"], json!(["a", "z"]));
    }
}
