//! The conversation in `context.messages`: what comes back into it, and where.

use ag_kernel::{VarChange, vars};
use ag_types::{Object, Timestamp};
use serde_json::{Value, json};

/// Where the conversation lies.
pub(super) const MESSAGES: &str = "context.messages";

/// Where messages are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    AfterSummary,
    AfterSystem,
    End,
}

impl Placement {
    pub(super) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("after_system") => Self::AfterSystem,
            Some("end") => Self::End,
            _ => Self::AfterSummary,
        }
    }
}

/// What was put back.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    pub(super) inserted: usize,
    pub(super) skipped: usize,
    /// The first of them, for people.
    pub(super) preview: Option<String>,
}

/// Messages shown in a preview.
const PREVIEW_MESSAGES: usize = 3;
/// Characters of a preview.
const PREVIEW_CHARS: usize = 800;

/// A conversation that is being changed.
pub(super) struct Conversation {
    messages: Vec<Value>,
    changed: bool,
}

impl Conversation {
    pub(super) fn of(vars: &Object) -> Self {
        let messages = vars::get_path(vars, MESSAGES).and_then(Value::as_array);
        Self {
            messages: messages.cloned().unwrap_or_default(),
            changed: false,
        }
    }

    /// The change of the variables, if there is any.
    pub(super) fn change(self) -> Vec<VarChange> {
        match self.changed {
            true => vec![VarChange::Set(MESSAGES.to_owned(), Value::Array(self.messages))],
            false => Vec::new(),
        }
    }

    /// Puts messages of a span back, at most `most` of them; those that are there already are skipped.
    pub(super) fn insert(
        &mut self,
        span_id: &str,
        archived: Vec<Value>,
        placement: Placement,
        most: Option<usize>,
    ) -> Inserted {
        let mut known: std::collections::HashSet<String> = self
            .messages
            .iter()
            .filter_map(|message| message_id(message).map(str::to_owned))
            .collect();
        let mut done = Inserted::default();
        let mut fresh = Vec::new();
        for mut message in archived {
            if most.is_some_and(|most| fresh.len() >= most) {
                break;
            }
            let id = message_id(&message).map(str::to_owned);
            if id.as_ref().is_some_and(|id| !known.insert(id.clone())) {
                done.skipped += 1;
                continue;
            }
            mark(&mut message, span_id);
            fresh.push(message);
        }
        if fresh.is_empty() {
            return done;
        }
        done.inserted = fresh.len();
        done.preview = Some(preview(&fresh));
        let at = self.place(span_id, placement);
        self.messages.splice(at..at, fresh);
        self.changed = true;
        done
    }

    fn place(&self, span_id: &str, placement: Placement) -> usize {
        let leading = self
            .messages
            .iter()
            .take_while(|message| role(message) == "system")
            .count();
        match placement {
            Placement::End => self.messages.len(),
            Placement::AfterSystem => leading,
            Placement::AfterSummary => {
                let summary = |message: &Value| {
                    let meta = |key: &str| message.get("metadata")?.get(key)?.as_str();
                    meta("kind") == Some("memory_summary") && meta("source_artifact_id") == Some(span_id)
                };
                let found = self.messages.iter().position(summary);
                found.map_or(leading, |at| at + 1)
            }
        }
    }
}

/// A note as a message.
pub(super) fn note_message(span_id: &str, note: &str, created_at: &str) -> Value {
    json!({
        "role": "system",
        "content": format!("[MEMORY NOTE]\n{note}"),
        "timestamp": created_at,
        "metadata": {
            "kind": "memory_note", "rehydrated": true, "source_artifact_id": span_id,
            "message_id": format!("memory_note:{span_id}"),
        },
    })
}

fn mark(message: &mut Value, span_id: &str) {
    let Some(message) = message.as_object_mut() else {
        return;
    };
    let metadata = message.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata["rehydrated"] = true.into();
    metadata["source_artifact_id"] = span_id.into();
}

fn preview(messages: &[Value]) -> String {
    let line = |message: &Value| match message_kind(message) {
        Some("memory_note") => content(message),
        _ => format!("{}: {}", role(message), content(message)),
    };
    let lines: Vec<String> = messages.iter().take(PREVIEW_MESSAGES).map(line).collect();
    let text = lines.join("\n");
    match text.char_indices().nth(PREVIEW_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn message_kind(message: &Value) -> Option<&str> {
    message.get("metadata")?.get("kind")?.as_str()
}

/// Identity of a message.
pub(super) fn message_id(message: &Value) -> Option<&str> {
    let id = message.get("metadata")?.get("message_id")?.as_str()?;
    Some(id).filter(|id| !id.is_empty())
}

/// Who speaks.
pub(super) fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// What is said, as text.
pub(super) fn content(message: &Value) -> String {
    match message.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(content) => ag_pyvalue::pystr(content).into_owned(),
    }
}

/// Gives a message an identity and a time where it lacks them.
pub(super) fn identify(message: &mut Value, new_id: impl FnOnce() -> String, now: Timestamp) {
    let known = message_id(message).is_some();
    let Some(message) = message.as_object_mut() else {
        return;
    };
    let metadata = message.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    if !known {
        metadata["message_id"] = new_id().into();
    }
    let timed = message
        .get("timestamp")
        .is_some_and(|time| time.as_str().is_some_and(|time| !time.is_empty()));
    if !timed {
        message.insert("timestamp".to_owned(), now.to_string().into());
    }
}
