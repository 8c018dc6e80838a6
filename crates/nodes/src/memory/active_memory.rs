//! The active memory of a run: short lists of things to keep in mind, one per module, and their text.

use crate::prelude::*;

/// Version of the stored form.
const VERSION: i64 = 1;

/// Modules in the order of the prompt, with their headings.
const MODULES: [(&str, &str); 6] = [
    ("relationships", "Relationships"),
    ("current_tasks", "Current tasks"),
    ("current_context", "Current context"),
    ("critical_insights", "Critical insights"),
    ("references", "References"),
    ("history", "History"),
];

/// Adds what a stored memory lacks.
pub(super) fn complete(memory: &mut Object) {
    memory.entry("version").or_insert_with(|| VERSION.into());
    memory.entry("persona").or_insert_with(|| json!(""));
    for (module, _) in MODULES {
        let list = memory.entry(module).or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
    }
}

/// Texts of a module; entries of older forms carry theirs in `text`.
pub(super) fn entries(memory: &Object, module: &str) -> Vec<String> {
    let items = memory.get(module).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| opt_str(item.get("text").unwrap_or(item)))
        .collect()
}

/// The parts of the prompt that have content: `{id, title, content}`.
pub(super) fn blocks(memory: &Object) -> Vec<Value> {
    let persona = memory.get("persona").and_then(opt_str);
    let mut blocks: Vec<Value> = persona
        .into_iter()
        .map(|text| json!({"id": "persona", "title": "Persona", "content": text}))
        .collect();
    for (module, title) in MODULES {
        let lines: Vec<_> = entries(memory, module)
            .into_iter()
            .map(|text| format!("- {text}"))
            .collect();
        if !lines.is_empty() {
            blocks.push(json!({"id": module, "title": title, "content": lines.join("\n")}));
        }
    }
    blocks
}

/// The blocks as text for a system prompt.
pub(super) fn render(blocks: &[Value]) -> String {
    let text = |block: &Value, key: &str| block[key].as_str().unwrap_or_default().to_owned();
    let parts: Vec<_> = blocks
        .iter()
        .map(|block| format!("## {}\n{}", text(block, "title"), text(block, "content")))
        .collect();
    parts.join("\n\n")
}
