use serde_json::json;

use super::*;
use crate::testing::{mapped, planned_payload};

#[test]
fn payloads_hold_what_is_given() {
    let statement = json!({"subject": "ex:a", "predicate": "schema:genre", "object": "x"});
    for (node, values, payload) in [
        (
            &memory_note::NODE,
            json!({"content": ""}),
            json!({"note": "", "tags": {}}),
        ),
        (
            &memory_note::NODE,
            json!({"content": "c", "tags": {"t": "1"}, "scope": "run", "sources": {}, "keep_in_context": "yes"}),
            json!({"note": "c", "tags": {"t": "1"}, "scope": "run", "keep_in_context": true}),
        ),
        (
            &memory_query::NODE,
            json!({"query": "", "limit": "5", "tags": {"b": "2"}, "usernames": "ann", "tags_mode": " any "}),
            json!({"query": "", "limit_spans": 5, "return": "both", "tags": {"b": "2"}, "tags_mode": "any", "usernames": ["ann"]}),
        ),
        (
            &memory_query::NODE,
            json!({}),
            json!({"query": "", "limit_spans": 10, "return": "both"}),
        ),
        (
            &memory_tag::NODE,
            json!({"span_id": "s", "tags": {"b": "2"}, "merge": true}),
            json!({"span_id": "s", "tags": {"b": "2"}, "merge": true}),
        ),
        (
            &memory_compact::NODE,
            json!({"preserve_recent": 4, "focus": "topics"}),
            json!({"preserve_recent": 4, "focus": "topics"}),
        ),
        (
            &memory_rehydrate::NODE,
            json!({"span_ids": "s", "placement": "end"}),
            json!({"span_ids": ["s"], "placement": "end"}),
        ),
        (
            &memory_rehydrate::NODE,
            json!({"span_id": 2}),
            json!({"span_ids": [2], "placement": "after_summary"}),
        ),
        (
            &memory_kg_query::NODE,
            json!({"query_text": " q ", "limit": 1, "min_score": 0.0, "max_input_tokens": "400", "subject": ""}),
            json!({"query_text": "q", "min_score": 0.0, "max_input_tokens": 400, "limit": 1}),
        ),
        (
            &memory_kg_resolve::NODE,
            json!({"label": "Ann", "expectedType": "schema:Person", "include_semantic": false, "limit": 3}),
            json!({"label": "Ann", "expected_type": "schema:Person", "max_candidates": 3, "include_semantic": false}),
        ),
        (
            &memory_kg_assert::NODE,
            json!({"assertions": statement}),
            json!({"assertions": [statement]}),
        ),
        (
            &memory_kg_assert::NODE,
            json!({"triples": [statement, 3], "allow_custom_predicates": true}),
            json!({"assertions": [statement], "allow_custom_predicates": true}),
        ),
        (&memory_kg_assert::NODE, json!({}), json!({"assertions": []})),
    ] {
        let mut found = planned_payload(node, json!({}), values.clone());
        let kind = found.as_object_mut().expect("object").shift_remove("type");
        assert_eq!(kind, Some(json!(node.spec.kind)));
        assert_eq!(found, payload, "{} {values}", node.spec.kind);
    }
}

#[test]
fn envelopes_become_pins() {
    let envelope = json!({"mode": "executed", "results": [{"success": true, "output": "text",
        "meta": {"span_id": "s", "span_ids": ["s"], "matches": [{"span_id": "s"}]}}]});
    for (node, pin, value) in [
        (&memory_note::NODE, "note_id", json!("s")),
        (&memory_query::NODE, "results", json!([{"span_id": "s"}])),
        (&memory_query::NODE, "rendered", json!("text")),
        (&memory_query::NODE, "span_ids", json!(["s"])),
        (&memory_tag::NODE, "success", json!(true)),
        (&memory_compact::NODE, "span_id", json!("s")),
    ] {
        assert_eq!(
            mapped(node, json!({}), json!({}), envelope.clone())[pin],
            value,
            "{} {pin}",
            node.spec.kind
        );
    }
    assert_eq!(
        mapped(
            &memory_compact::NODE,
            json!({}),
            json!({}),
            json!({"results": [{}]})
        )["span_id"],
        json!(null)
    );
    let failed = json!({"ok": false, "count": 0, "items": [], "error": "x"});
    let outputs = mapped(&memory_kg_query::NODE, json!({}), json!({}), failed.clone());
    assert_eq!(
        (&outputs["ok"], &outputs["packets"], &outputs["raw"]),
        (&json!(false), &json!([]), &failed)
    );
}
