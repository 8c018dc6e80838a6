//! `memact_compose`: facts of the knowledge graph as active memory of the run.
//!
//! The active memory lives in `_runtime.active_memory`. Of its modules only `current_context` is changed: the
//! entries that an earlier composition left there (told by their marker) give way to one line per packet.

use super::active_memory;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memact_compose",
        title: "MemAct Compose",
        family: "memory",
        doc: "Replaces the facts in the active memory of the run by those of a knowledge-graph query.",
        inputs: &[
            pin("kg_result", "object"),
            pin("stimulus", "string"),
            pin("marker", "string"),
            pin("max_items", "number"),
        ],
        outputs: &[
            pin("ok", "boolean"),
            pin("delta", "object"),
            pin("trace", "object"),
            pin("active_memory", "object"),
            pin("memact_blocks", "array"),
            pin("memact_system_prompt", "string"),
        ],
        ..STRICT_FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

/// Entries that `current_context` holds at most.
const MAX_CONTEXT: usize = 60;

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let found = ["kg_result", "raw", "result"]
        .iter()
        .find_map(|pin| inputs.non_null(pin));
    let Some(found) = found.and_then(Value::as_object) else {
        let text = "memact_compose requires kg_result (object)";
        return Ok(FunctionResult::of(json!({"ok": false, "error": text})));
    };
    let stimulus = opt_text(inputs, "stimulus")
        .or_else(|| opt_text(inputs, "query_text"))
        .unwrap_or_default();
    let marker = opt_text(inputs, "marker").unwrap_or_else(|| "KG:".to_owned());
    let most = opt_i64(inputs, "max_items")
        .and_then(|most| usize::try_from(most).ok())
        .filter(|most| *most > 0);
    let most = most.unwrap_or(MAX_CONTEXT).min(MAX_CONTEXT);
    let packets = found
        .get("packets")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let lines: Vec<String> = packets
        .iter()
        .filter_map(|packet| line(&marker, packet))
        .take(most)
        .collect();

    let memory = vars::object_at(ctx.vars, "_runtime.active_memory");
    active_memory::complete(memory);
    let before = active_memory::entries(memory, "current_context");
    let (replaced, kept): (Vec<_>, Vec<_>) = before.into_iter().partition(|entry| entry.starts_with(&marker));
    let removed: Vec<&String> = replaced.iter().filter(|entry| !lines.contains(entry)).collect();
    let added: Vec<&String> = lines.iter().filter(|entry| !replaced.contains(entry)).collect();
    let delta = json!({"current_context": {"added": added, "removed": removed}});
    let trace = json!({
        "stimulus": stimulus,
        "marker": marker,
        "packets": packets.len(),
        "used": lines.len(),
        "added": added.len(),
        "removed": removed.len(),
    });
    let room = MAX_CONTEXT.saturating_sub(lines.len());
    let oldest = kept.len().saturating_sub(room);
    let context: Vec<String> = kept.into_iter().skip(oldest).chain(lines).collect();
    memory.insert("current_context".to_owned(), context.into());
    let blocks = active_memory::blocks(memory);
    let prompt = active_memory::render(&blocks);
    Ok(FunctionResult::of(json!({
        "ok": true,
        "delta": delta,
        "trace": trace,
        "active_memory": memory,
        "memact_blocks": blocks,
        "memact_system_prompt": prompt,
    })))
}

/// `<marker> <statement> (span:…; wf:…)`, the bracket only with what the packet knows.
fn line(marker: &str, packet: &Value) -> Option<String> {
    let field = |key: &str| packet.get(key).and_then(opt_str);
    let statement = field("statement").or_else(|| {
        Some(format!(
            "{} —{}→ {}",
            field("subject")?,
            field("predicate")?,
            field("object")?
        ))
    })?;
    let origin = [("span", field("span_id")), ("wf", field("writer_workflow_id"))];
    let origin: Vec<_> = origin
        .into_iter()
        .filter_map(|(name, id)| Some(format!("{name}:{}", id?)))
        .collect();
    let origin = if origin.is_empty() {
        String::new()
    } else {
        format!(" ({})", origin.join("; "))
    };
    Some(format!("{marker} {statement}{origin}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, function_in};

    #[test]
    fn marked_entries_are_replaced() {
        let mut vars = json!({"_runtime": {"active_memory": {"current_context": ["KG: old", "keep"]}}});
        let packet = json!({"statement": "ex:ann —schema:knowsabout→ ex:bob", "span_id": "s", "writer_workflow_id": "w"});
        let values = json!({"kg_result": {"packets": [packet]}, "stimulus": "who"});
        let result = function_in(&NODE, json!({}), values, Answer::none(), &mut vars).expect("runs");
        let line = "KG: ex:ann —schema:knowsabout→ ex:bob (span:s; wf:w)";
        assert_eq!(
            vars["_runtime"]["active_memory"]["current_context"],
            json!(["keep", line])
        );
        assert_eq!(result.value["ok"], true);
        assert_eq!(
            result.value["delta"],
            json!({"current_context": {"added": [line], "removed": ["KG: old"]}})
        );
        assert!(
            result.value["memact_system_prompt"]
                .as_str()
                .is_some_and(|text| text.contains(line))
        );
    }

    #[test]
    fn a_result_that_is_no_object_is_reported() {
        let mut vars = json!({});
        let result = function_in(
            &NODE,
            json!({}),
            json!({"kg_result": 3}),
            Answer::none(),
            &mut vars,
        )
        .expect("runs");
        assert_eq!(result.value["ok"], false);
        assert_eq!(vars, json!({}));
    }
}
