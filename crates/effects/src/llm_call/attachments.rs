//! What the model is told about files: those sent with the call, and those of the session that it may open.

use ag_artifacts::{ArtifactMeta, session_memory_run_id};
use ag_providers::{ChatMessage, Role};
use ag_pyvalue::coerce_bool;
use ag_store::ArtifactFilter;

use super::input::Input;
use super::media::Item;
use crate::{EffectCtx, Failure};

const PREFIXES: [&str; 3] = [
    "Active attachments",
    "Stored session attachments",
    "Session attachments",
];
/// Entries and characters of the two lists.
const ACTIVE: (usize, usize) = (12, 2000);
const INDEX: (usize, usize) = (20, 4000);
/// Rows looked at for the index; a session with more files than this shows its newest.
const ROWS: usize = 200;

/// Replaces the lists of earlier turns by current ones, in front of the conversation.
///
/// # Errors
/// [`Failure`], when the store cannot be read.
pub(super) async fn replace(
    ctx: &EffectCtx<'_>,
    input: &Input<'_>,
    items: &[Item],
    conversation: &mut Vec<ChatMessage>,
) -> Result<(), Failure> {
    conversation.retain(|message| {
        let text = || message.content.text();
        message.role != Role::System
            || !PREFIXES
                .iter()
                .any(|prefix| text().trim_start().starts_with(prefix))
    });
    let mut lists = Vec::new();
    if !items.is_empty() {
        let entries = items.iter().map(active_entry);
        lists.push(list(
            "Active attachments (their content comes with the last user message):".to_owned(),
            entries,
            ACTIVE,
        ));
    }
    if wants_index(input, !items.is_empty()) {
        let entries = session_entries(ctx).await?;
        let header = match entries.is_empty() {
            true => "Session attachments: none so far.".to_owned(),
            false => "Session attachments (open one with open_attachment, by id or handle):".to_owned(),
        };
        lists.push(list(header, entries.into_iter(), INDEX));
    }
    conversation.splice(0..0, lists.into_iter().map(ChatMessage::system));
    Ok(())
}

fn wants_index(input: &Input<'_>, active: bool) -> bool {
    const KEY: &str = "include_session_attachments_index";
    let control = || {
        input
            .runtime("control")
            .and_then(|control| control.get(KEY))
            .and_then(coerce_bool)
    };
    let set = input.param(KEY).and_then(coerce_bool).or_else(control);
    set.unwrap_or_else(|| !active && (!input.tools().is_empty() || input.includes_context()))
}

fn active_entry(item: &Item) -> String {
    let facts = [
        item.content_type().map(str::to_owned),
        item.artifact_id().map(|id| format!("id={id}")),
    ];
    entry(item.label(), facts)
}

fn entry(name: &str, facts: impl IntoIterator<Item = Option<String>>) -> String {
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    if facts.is_empty() {
        format!("- {name}")
    } else {
        format!("- {name} ({})", facts.join(", "))
    }
}

async fn session_entries(ctx: &EffectCtx<'_>) -> Result<Vec<String>, Failure> {
    let Some(session) = ctx
        .run
        .head
        .session_id
        .as_deref()
        .filter(|session| !session.is_empty())
    else {
        return Ok(Vec::new());
    };
    let filter = ArtifactFilter {
        run_ids: vec![session_memory_run_id(session)],
        limit: ROWS,
        ..ArtifactFilter::default()
    };
    let rows = ctx.store.artifacts(ctx.scope, filter).await?;
    let mut handles = std::collections::HashSet::new();
    let mut entries = Vec::new();
    for row in rows {
        let Ok(meta) = serde_json::from_str::<ArtifactMeta>(&row.meta) else {
            continue;
        };
        if meta.tag("kind") != Some("attachment") {
            continue;
        }
        let handle = meta
            .source_path()
            .or_else(|| meta.filename())
            .unwrap_or(&row.artifact_id)
            .to_owned();
        // Rows come newest first; an older version of the same file is not worth a line.
        if handles.insert(handle.clone()) {
            let sha = meta
                .tag("sha256")
                .map(|sha| format!("sha={}", sha.chars().take(8).collect::<String>()));
            let facts = [
                Some(format!("id={}", row.artifact_id)),
                sha,
                Some(row.content_type),
                Some(format!("{} bytes", row.size_bytes)),
            ];
            entries.push(entry(&format!("@{}", handle.trim_start_matches('@')), facts));
        }
    }
    Ok(entries)
}

/// A header and as many entries as fit.
fn list(
    header: String,
    entries: impl ExactSizeIterator<Item = String>,
    (count, chars): (usize, usize),
) -> String {
    let total = entries.len();
    let mut text = header;
    let mut used = text.chars().count();
    let mut shown = 0;
    for entry in entries.take(count) {
        used += entry.chars().count() + 1;
        if used > chars {
            break;
        }
        text.push('\n');
        text.push_str(&entry);
        shown += 1;
    }
    if shown < total {
        text.push_str(&format!("\n... and {} more", total - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use ag_types::Object;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn who_gets_the_index() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let cases = [
            (json!({}), json!({}), false, false),
            (json!({"tools": [{"name": "t"}]}), json!({}), false, true),
            (json!({"tools": [{"name": "t"}]}), json!({}), true, false),
            (json!({"include_context": true}), json!({}), false, true),
            (
                json!({"params": {"include_session_attachments_index": true}}),
                json!({}),
                true,
                true,
            ),
            (
                json!({"tools": [{"name": "t"}]}),
                json!({"include_session_attachments_index": false}),
                false,
                false,
            ),
        ];
        for (payload, control, active, expected) in cases {
            let payload = object(payload);
            let mut vars = Object::new();
            vars.insert("_runtime".into(), json!({"control": control}));
            assert_eq!(
                wants_index(&Input::new(&payload, &vars), active),
                expected,
                "{payload:?}"
            );
        }
    }

    #[test]
    fn lists_are_bounded() {
        let entries: Vec<String> = (0..30).map(|n| format!("- {n}")).collect();
        let text = list("H".to_owned(), entries.clone().into_iter(), (20, 4000));
        assert_eq!(text.lines().count(), 22);
        assert!(text.ends_with("... and 10 more"));
        assert_eq!(
            list("H".to_owned(), entries.into_iter(), (20, 6)),
            "H\n- 0\n... and 29 more"
        );
    }
}
