//! Attachments as models read of them in system messages (effects spec §1.2, step 7).

use std::collections::HashSet;

use ag_artifacts::ArtifactMeta;
use serde_json::Value;

use super::handle::{display_handle, short_sha};

const ACTIVE_ENTRIES: usize = 12;
const ACTIVE_CHARS: usize = 2000;
const INDEX_ENTRIES: usize = 20;
const INDEX_CHARS: usize = 4000;

/// The media of the call at hand: `Active attachments …`; `None` without media.
pub fn active_list(media: &[Value]) -> Option<String> {
    if media.is_empty() {
        return None;
    }
    let lines = media.iter().filter_map(active_line);
    let header = "Active attachments (their content is part of this request):";
    Some(bounded(header, lines, media.len(), ACTIVE_ENTRIES, ACTIVE_CHARS))
}

/// The attachments that could be opened: `Stored session attachments …`. The header stands alone when there are none,
/// so that a model does not look for files that do not exist. One line per handle: the newest version.
pub fn session_index(metas: &[ArtifactMeta]) -> String {
    let mut seen = HashSet::new();
    let newest: Vec<&ArtifactMeta> = metas.iter().filter(|meta| seen.insert(display_handle(meta))).collect();
    if newest.is_empty() {
        return "Stored session attachments: none.".to_owned();
    }
    let lines = newest.iter().map(|meta| {
        let (id, sha, kind) = (&meta.artifact_id, short_sha(meta), &meta.content_type);
        format!("- @{} (id={id}, sha={sha}, {kind}, {} bytes)", display_handle(meta), meta.size_bytes)
    });
    let header = "Stored session attachments (read one with open_attachment, by id or handle):";
    bounded(header, lines, newest.len(), INDEX_ENTRIES, INDEX_CHARS)
}

fn active_line(item: &Value) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    if let Some(path) = item.as_str() {
        return Some(format!("- @{path}"));
    }
    let id = text("$artifact").or_else(|| text("artifact_id"));
    let name = ["source_path", "filename", "file_path", "url"].iter().find_map(|key| text(key)).or(id)?;
    let name = name.strip_prefix("client:").unwrap_or(name);
    let facts: Vec<String> = [id.map(|id| format!("id={id}")), text("content_type").map(str::to_owned)]
        .into_iter()
        .flatten()
        .collect();
    Some(match facts.is_empty() {
        true => format!("- @{name}"),
        false => format!("- @{name} ({})", facts.join(", ")),
    })
}

fn bounded(
    header: &str,
    lines: impl Iterator<Item = String>,
    total: usize,
    max_entries: usize,
    max_chars: usize,
) -> String {
    // Room for the closing note, whatever the number in it.
    const NOTE: usize = 40;
    let mut out = header.to_owned();
    let mut chars = header.chars().count() + NOTE;
    let mut shown = 0;
    for line in lines.take(max_entries) {
        chars += line.chars().count() + 1;
        if chars > max_chars {
            break;
        }
        out.push('\n');
        out.push_str(&line);
        shown += 1;
    }
    if shown < total {
        out.push_str(&format!("\n({} more not shown)", total - shown));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachments::tests::meta;
    use serde_json::json;

    #[test]
    fn lists_are_bounded() {
        assert_eq!(active_list(&[]), None);
        let item = json!({"$artifact": "a1", "filename": "x.png", "content_type": "image/png"});
        let list = active_list(&[item, json!("b.txt")]).expect("list");
        assert!(list.starts_with("Active attachments"), "{list}");
        assert!(list.ends_with("- @x.png (id=a1, image/png)\n- @b.txt"), "{list}");
        let many: Vec<Value> = (0..30).map(|n| json!(format!("{n}.txt"))).collect();
        let list = active_list(&many).expect("list");
        assert_eq!(list.lines().count(), 14);
        assert!(list.ends_with("(18 more not shown)"), "{list}");
    }

    #[test]
    fn the_index_names_the_newest_version_of_a_path() {
        assert!(session_index(&[]).starts_with("Stored session attachments"));
        let metas = [meta("a.txt", "two"), meta("a.txt", "one"), meta(&"d/".repeat(3000), "long")];
        let index = session_index(&metas);
        assert!(index.starts_with("Stored session attachments"));
        assert!(index.contains(&format!("- @a.txt (id={}, ", metas[0].artifact_id)), "{index}");
        assert!(!index.contains(&metas[1].artifact_id));
        assert!(index.ends_with("(1 more not shown)") && index.chars().count() <= INDEX_CHARS);
    }
}
