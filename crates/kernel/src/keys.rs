//! Idempotency keys of ledger records (kernel spec §3.1).

use ag_pyvalue::{DumpOptions, write_canonical_text, write_dumps};
use ag_types::{EffectKind, Object, RunId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Members of a tool call that change from one attempt to the next.
const VOLATILE: [&str; 5] = [
    "call_id",
    "id",
    "runtime_call_id",
    "model_call_id",
    "idempotency_key",
];

/// The key of an effect: 32 hex digits over run, node, type and planned payload; from the second visit of a node on
/// also over the visit number (difference X1).
pub fn effect_key(run: RunId, node: &str, kind: EffectKind, payload: &Object, visit: u32) -> String {
    let normalised = (kind == EffectKind::ToolCalls).then(|| normalise_tool_payload(payload));
    let payload = normalised.as_ref().unwrap_or(payload);
    let mut digest = Digester::default();
    let mut feed = |text: &str| digest.feed(text);
    // Keys in sorted order by hand, so that the payload is hashed without being copied.
    feed("{\"effect_payload\":");
    canonical_object(payload, &mut feed);
    feed(",\"effect_type\":\"");
    feed(kind.as_str());
    feed("\",\"node_id\":");
    write_canonical_text(node, &mut feed);
    feed(",\"run_id\":\"");
    feed(&run.to_string());
    feed("\"");
    if visit > 1 {
        feed(&format!(",\"visit\":{visit}"));
    }
    feed("}");
    hex::encode(&digest.finish()[..16])
}

/// A digest fed with many small pieces, which are gathered before they are hashed.
#[derive(Default)]
struct Digester {
    hash: Sha256,
    gathered: String,
}

impl Digester {
    const GATHERED_BYTES: usize = 4096;

    fn feed(&mut self, text: &str) {
        if self.gathered.len() + text.len() > Self::GATHERED_BYTES {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
        match text.len() > Self::GATHERED_BYTES {
            true => self.hash.update(text),
            false => self.gathered.push_str(text),
        }
    }

    fn finish(mut self) -> [u8; 32] {
        self.hash.update(&self.gathered);
        self.hash.finalize().into()
    }
}

fn canonical_object(object: &Object, feed: &mut impl FnMut(&str)) {
    let mut entries: Vec<(&String, &Value)> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    feed("{");
    for (i, (key, value)) in entries.into_iter().enumerate() {
        if i > 0 {
            feed(",");
        }
        write_canonical_text(key, feed);
        feed(":");
        write_dumps(value, &DumpOptions::CANONICAL, feed);
    }
    feed("}");
}

fn normalise_tool_payload(payload: &Object) -> Object {
    let mut out = payload.clone();
    if let Some(Value::Array(calls)) = out.get_mut("tool_calls") {
        for call in calls {
            normalise_call(call);
        }
    }
    if let Some(Value::Array(tools)) = out.get_mut("allowed_tools") {
        sort_texts(tools);
    }
    out
}

/// Sorts and deduplicates a list of names in place.
pub(crate) fn sort_texts(items: &mut Vec<Value>) {
    items.sort_by(|a, b| a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()));
    items.dedup();
}

fn normalise_call(call: &mut Value) {
    let Value::Object(call) = call else { return };
    for name in VOLATILE {
        call.shift_remove(name);
    }
    if let Some(Value::Object(function)) = call.get_mut("function") {
        for name in VOLATILE {
            function.shift_remove(name);
        }
        normalise_fields(function);
    }
    normalise_fields(call);
}

fn normalise_fields(call: &mut Object) {
    if let Some(Value::String(name)) = call.get_mut("name") {
        *name = name.trim().to_owned();
    }
    if let Some(arguments) = call.get_mut("arguments") {
        if let Value::String(text) = arguments {
            *arguments = serde_json::from_str(text).unwrap_or(Value::Null);
        }
        if !arguments.is_object() {
            *arguments = json!({});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn key_is_stable_and_blind_to_key_order() {
        let run: RunId = "8d6899dd-0000-4000-8000-000000000001".parse().expect("run id");
        let a = object(json!({"message": "é", "n": 0.7}));
        let b = object(json!({"n": 0.7, "message": "é"}));
        let key = effect_key(run, "q", EffectKind::AnswerUser, &a, 1);
        assert_eq!(key.len(), 32);
        assert_eq!(key, effect_key(run, "q", EffectKind::AnswerUser, &b, 1));
        assert_ne!(key, effect_key(run, "q", EffectKind::AnswerUser, &a, 2));
        // Computed with Python: sha256(json.dumps({...}, sort_keys=True, separators=(",", ":"))).
        assert_eq!(key, "e321d775a5014c60b933c9575ca94c07");
    }

    #[test]
    fn tool_keys_ignore_call_ids() {
        let run: RunId = "8d6899dd-0000-4000-8000-000000000001".parse().expect("run id");
        let a = object(
            json!({"tool_calls": [{"name": " x ", "arguments": "{\"a\":1}", "call_id": "1"}], "allowed_tools": ["b", "a", "b"]}),
        );
        let b = object(
            json!({"tool_calls": [{"name": "x", "arguments": {"a": 1}, "call_id": "2"}], "allowed_tools": ["a", "b"]}),
        );
        let key = |p: &Object| effect_key(run, "t", EffectKind::ToolCalls, p, 1);
        assert_eq!(key(&a), key(&b));
    }
}
