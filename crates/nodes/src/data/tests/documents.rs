use super::*;

#[test]
fn contexts_metas_and_scratchpads() {
    let none = || json!({});
    let message = json!({"role": "user", "content": "x"});
    let full = json!({"schema": " s.v1 ", "version": "2.7", "provider": "p", "model": 3, "iterations": "4",
        "tool_calls": 1.9, "warnings": ["w", "", 1], "trace_id": "T", "trace": {"k": 1}, "debug": 0,
        "extra": {"z": 1}, "usage": {"t": 1}, "finish_reason": "stop", "output_mode": "x", "sub_run_id": "abc"});
    let pad = json!({"sub_run_id": "r", "task": null, "messages": [1], "node_traces": {"n": {}}, "steps": "x",
        "tool_calls": [], "tool_results": null, "context_extra": {"a": 1}, "workflow_id": "w"});
    check(&[
        (
            &make_context::NODE,
            none(),
            json!({"task": "t", "messages": [message], "context_extra": {"k": 1, "task": "shadow"}}),
            "context",
            json!({"k": 1, "task": "t", "messages": [message]}),
        ),
        (
            &make_context::NODE,
            none(),
            json!({"task": 5, "messages": "solo"}),
            "context",
            json!({"task": "5", "messages": ["solo"]}),
        ),
        (
            &make_context::NODE,
            none(),
            json!({}),
            "context",
            json!({"task": "", "messages": []}),
        ),
        (
            &make_meta::NODE,
            none(),
            full,
            "meta",
            json!({"schema": "s.v1", "version": 2, "provider": "p", "model": "3", "iterations": 4, "tool_calls": 1,
                "warnings": ["w", "1"], "trace": {"k": 1, "trace_id": "T"}, "debug": 0, "z": 1, "usage": {"t": 1},
                "finish_reason": "stop", "output_mode": "x", "sub_run_id": "abc"}),
        ),
        (
            &make_meta::NODE,
            none(),
            json!({"version": true, "iterations": false, "warnings": "one", "trace": "id"}),
            "meta",
            json!({"schema": "abstractcode.agent.v1.meta", "version": 1, "warnings": ["one"], "trace": {"trace_id": "id"}}),
        ),
        (
            &make_meta::NODE,
            none(),
            json!({}),
            "meta",
            json!({"schema": "abstractcode.agent.v1.meta", "version": 1}),
        ),
        (
            &make_scratchpad::NODE,
            none(),
            pad,
            "scratchpad",
            json!({"sub_run_id": "r", "workflow_id": "w", "task": "", "messages": [1], "context_extra": {"a": 1},
                "node_traces": {"n": {}}, "steps": ["x"], "tool_calls": [], "tool_results": []}),
        ),
        (
            &make_scratchpad::NODE,
            none(),
            json!({}),
            "scratchpad",
            json!({"task": "", "messages": [], "node_traces": {}, "steps": [], "tool_calls": [], "tool_results": []}),
        ),
    ]);
}

#[test]
fn json_in_and_out() {
    let none = || json!({});
    check(&[
        (
            &parse_json::NODE,
            none(),
            json!({"text": "42"}),
            "result",
            json!({"value": 42}),
        ),
        (
            &parse_json::NODE,
            none(),
            json!({"text": "\"x\"", "wrap_scalar": false}),
            "result",
            json!("x"),
        ),
        (
            &parse_json::NODE,
            none(),
            json!({"text": {"already": "object"}}),
            "result",
            json!({"already": "object"}),
        ),
        (
            &parse_json::NODE,
            none(),
            json!({"text": 7}),
            "result",
            json!({"value": 7}),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"b": 1, "a": [1, {"c": null}]}}),
            "result",
            json!("{\n  \"b\": 1,\n  \"a\": [\n    1,\n    {\n      \"c\": null\n    }\n  ]\n}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"b": 1, "a": "é"}, "mode": "minified"}),
            "result",
            json!("{\"b\":1,\"a\":\"é\"}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": [1, 2.0, true], "mode": "none"}),
            "result",
            json!("[1, 2.0, true]"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"k": []}, "indent": 4}),
            "result",
            json!("{\n    \"k\": []\n}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"k": {}}, "indent": 0}),
            "result",
            json!("{\"k\":{}}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"b": 1, "a": 2}, "mode": "minified", "sort_keys": true}),
            "result",
            json!("{\"a\":2,\"b\":1}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": "{\"x\": 1}", "mode": "minified"}),
            "result",
            json!("{\"x\":1}"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": "plain text"}),
            "result",
            json!("\"plain text\""),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": null}),
            "result",
            json!("null"),
        ),
        (
            &stringify_json::NODE,
            none(),
            json!({"value": {"x": 1}, "mode": "fancy"}),
            "result",
            json!("{\n  \"x\": 1\n}"),
        ),
    ]);
    for (text, error) in [
        (
            json!("  "),
            "ValueError: parse_json requires a non-empty 'text' input.",
        ),
        (
            json!(null),
            "ValueError: parse_json requires a non-empty 'text' input.",
        ),
        (json!("null"), "ValueError: Invalid JSON: null"),
    ] {
        assert_eq!(
            eval(&parse_json::NODE, none(), json!({"text": text})),
            Err(error.to_owned())
        );
    }
    let error = eval(&parse_json::NODE, none(), json!({"text": "hello world"})).expect_err("no JSON");
    assert!(error.starts_with("ValueError: Invalid JSON: "), "{error}");
}

#[test]
fn reports_for_people() {
    let none = || json!({});
    let results = json!([
        {"name": "t1", "success": true, "output": {"rendered": " ok \n"}},
        {"name": "t2", "success": false, "error": "boom"},
        {"name": "t3", "output": "line1\n\nline2", "arguments": {"q": "x y"}},
        {"output": null},
        "skip",
    ]);
    check(&[
        (
            &format_tool_results::NODE,
            none(),
            json!({"tool_results": results}),
            "result",
            json!(
                "- t1(ok) [SUCCESS] : ok\n- t2() [FAILURE] : boom\n- t3(x y) [DONE] : line1 line2\n- tool() [DONE] : (no output)"
            ),
        ),
        (
            &format_tool_results::NODE,
            none(),
            json!({"results": {"name": "solo", "success": true, "output": {"b": 2, "a": 1}}}),
            "result",
            json!("- solo(2) [SUCCESS] : {\"a\":1,\"b\":2}"),
        ),
        (&format_tool_results::NODE, none(), json!({}), "result", json!("")),
        (
            &format_tool_results::NODE,
            none(),
            json!({"tool_results": [{"name": "n", "success": true, "output": 5, "arguments": {"flag": false}}]}),
            "result",
            json!("- n(false) [SUCCESS] : 5"),
        ),
        (
            &agent_trace_report::NODE,
            none(),
            json!({"scratchpad": {}}),
            "result",
            json!("# Agent Trace Report\n\n_No node_traces found in scratchpad._\n"),
        ),
        (
            &agent_trace_report::NODE,
            none(),
            json!({}),
            "result",
            json!("# Agent Trace Report\n\n_No scratchpad provided._\n"),
        ),
    ]);
}
