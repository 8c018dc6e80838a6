//! Payloads and results of effect nodes.

pub(crate) mod asked;

use ag_types::{EffectKind, Object};
use ag_visualflow::node::{After, Planned};
use serde_json::Value;

/// A payload that begins with its type. The executor adds `resume_to_node` to such payloads only: those without a
/// type (`on_event`, `on_schedule`, `emit_event`, agents, memory preambles) state it themselves or have none.
pub(crate) fn payload(kind: EffectKind) -> Object {
    let mut payload = Object::new();
    payload.insert("type".to_owned(), kind.as_str().into());
    payload
}

/// An effect whose result goes to the usual place, followed by the successor.
pub(crate) fn effect(kind: EffectKind, payload: Object) -> Planned {
    Planned::Effect {
        kind,
        payload,
        result_key: None,
        after: After::Successor,
        push_control: false,
    }
}

/// The keys of an object result; another result gives none.
pub(crate) fn passthrough(raw: &Value) -> Object {
    raw.as_object().cloned().unwrap_or_default()
}
