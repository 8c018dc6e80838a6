//! Scenarios of the flow specification (§9) with the real node types.

use serde_json::{Value, json};

use crate::{
    catalogue::object,
    driver::{drive, real_program, run_real},
    flow::{exec, flow, pure},
};

fn start() -> Value {
    let mut node = exec("start", "on_flow_start", &[], json!({}));
    node["data"]["outputs"] = json!([{"id": "exec-out", "type": "execution"}]);
    node
}

fn end(pins: &[&str]) -> Value {
    exec("end", "on_flow_end", pins, json!({}))
}

fn literal(id: &str, value: Value) -> Value {
    pure(id, "literal_json", &[], json!({"literalValue": value}))
}

/// `1 / 0`.
fn division() -> Value {
    pure(
        "div",
        "divide",
        &["a", "b"],
        json!({"pinDefaults": {"a": 1, "b": 0}}),
    )
}

#[test]
fn s1_random_values_differ() {
    let nodes = [
        start(),
        pure(
            "r",
            "random_int",
            &["min", "max"],
            json!({"pinDefaults": {"min": 0, "max": 1_000_000_000}}),
        ),
        end(&["a", "b"]),
    ];
    let edges = "start.exec-out > end.exec-in; r.result > end.a; r.result > end.b";
    let output = run_real(&flow(&nodes, edges), json!({}))
        .output
        .expect("completes");
    assert!(output["a"].is_number() && output["a"] != output["b"], "{output}");
}

#[test]
fn s2_each_visit_of_a_loop_body_executes() {
    let nodes = [
        start(),
        exec(
            "for",
            "for",
            &["start", "end"],
            json!({"pinDefaults": {"start": 0, "end": 3}}),
        ),
        exec(
            "say",
            "answer_user",
            &["message"],
            json!({"pinDefaults": {"message": "same"}}),
        ),
        exec(
            "llm",
            "llm_call",
            &["prompt"],
            json!({"pinDefaults": {"prompt": "hi"}}),
        ),
        end(&["i", "resp"]),
    ];
    let edges = "start.exec-out > for.exec-in; for.loop > say.exec-in; say.exec-out > llm.exec-in; for.done > end.exec-in
        for.i > end.i; llm.response > end.resp";
    let program = real_program(&flow(&nodes, edges));
    let mut replies = 0;
    let ended = drive(&program, object(json!({})), 100, &mut |node, effect| match node {
        "llm" => {
            replies += 1;
            Some(json!({"content": format!("reply {replies}")}))
        }
        _ => Some(Value::Object(effect.payload.clone())),
    });
    assert_eq!(
        ended.output,
        Some(json!({"i": 2.0, "resp": "reply 3", "success": true}))
    );
    let visited: Vec<_> = ended
        .effects
        .iter()
        .map(|(node, _, next)| (node.as_str(), next.as_deref()))
        .collect();
    assert_eq!(visited, [("say", Some("llm")), ("llm", Some("for"))].repeat(3));
}

#[test]
fn s7_s8_branches() {
    let nodes = [start(), exec("if", "if", &["condition"], json!({})), end(&["r"])];
    let document = flow(
        &nodes,
        "start.exec-out > if.exec-in; start.c > if.condition; if.true > end.exec-in",
    );
    for (condition, output) in [
        (
            json!(0),
            json!({"branch": "false", "condition": 0, "success": true}),
        ),
        (json!("no"), json!({"r": null, "success": true})),
    ] {
        assert_eq!(run_real(&document, json!({"c": condition})).output, Some(output));
    }
    let cases = json!({"switchConfig": {"cases": [{"id": "a", "value": "alpha"}, {"id": "n", "value": 2}]}});
    let document = flow(
        &[start(), exec("sw", "switch", &["value"], cases)],
        "start.exec-out > sw.exec-in; start.v > sw.value",
    );
    for (value, branch) in [
        (json!("alpha"), "case:a"),
        (json!(2), "case:n"),
        (json!(null), "default"),
        (json!("Alpha"), "default"),
    ] {
        let output = run_real(&document, json!({"v": value}))
            .output
            .expect("completes");
        assert_eq!(output["branch"], json!(branch));
    }
}

#[test]
fn s9_while_counts() {
    let nodes = [
        start(),
        pure("n", "get_var", &["name"], json!({"pinDefaults": {"name": "n"}})),
        pure(
            "lt",
            "compare",
            &["a", "op", "b"],
            json!({"pinDefaults": {"op": "<", "b": 3}}),
        ),
        pure("inc", "add", &["a", "b"], json!({"pinDefaults": {"b": 1}})),
        exec("w", "while", &["condition"], json!({})),
        exec(
            "set",
            "set_var",
            &["name", "value"],
            json!({"pinDefaults": {"name": "n"}}),
        ),
        end(&["n", "index"]),
    ];
    let edges = "start.exec-out > w.exec-in; w.loop > set.exec-in; w.done > end.exec-in; n.value > lt.a; lt.result > w.condition
        n.value > inc.a; inc.result > set.value; n.value > end.n; w.index > end.index";
    assert_eq!(
        run_real(&flow(&nodes, edges), json!({"n": 0})).output,
        Some(json!({"n": 3.0, "index": 2, "success": true}))
    );
}

#[test]
fn s10_s11_s13_errors() {
    let soft = json!({"error": "Division by zero", "success": false, "node": "x"});
    for (kind, pin, output, error) in [
        (
            "answer_user",
            "message",
            None,
            Some("ValueError: Division by zero"),
        ),
        ("set_var", "value", None, Some("ValueError: Division by zero")),
        ("on_flow_end", "v", Some(&soft), None),
        ("if", "condition", Some(&soft), None),
    ] {
        let nodes = [start(), division(), exec("x", kind, &[pin], json!({}))];
        let ended = run_real(
            &flow(
                &nodes,
                &format!("start.exec-out > x.exec-in; div.result > x.{pin}"),
            ),
            json!({}),
        );
        assert_eq!(
            (ended.output.as_ref(), ended.error.as_deref()),
            (output, error),
            "{kind}"
        );
    }
    let nodes = [
        start(),
        exec(
            "x",
            "set_var",
            &["name", "value"],
            json!({"pinDefaults": {"name": "_x", "value": 1}}),
        ),
    ];
    let output = run_real(&flow(&nodes, "start.exec-out > x.exec-in"), json!({}))
        .output
        .expect("completes");
    assert_eq!(
        output["error"],
        json!("Invalid variable name '_x': names starting with '_' are reserved.")
    );
}

#[test]
fn s14_timers_have_outputs_only_when_they_did_not_wait() {
    let nodes = [
        start(),
        exec(
            "t",
            "wait_until",
            &["duration"],
            json!({"pinDefaults": {"duration": 0}}),
        ),
        end(&["until", "ready"]),
    ];
    let edges =
        "start.exec-out > t.exec-in; t.exec-out > end.exec-in; t.until > end.until; t.ready > end.ready";
    let program = real_program(&flow(&nodes, edges));
    for (result, output) in [
        (
            json!({"until": "x", "ready": true}),
            json!({"until": "x", "ready": true, "success": true}),
        ),
        (
            json!(null),
            json!({"until": null, "ready": null, "success": true}),
        ),
    ] {
        let ended = drive(&program, object(json!({})), 10, &mut |_, _| Some(result.clone()));
        assert_eq!(ended.output, Some(output));
    }
}

#[test]
fn s16_a_failed_child_leaves_its_error_in_child_output() {
    let mut sub = exec(
        "sub",
        "subflow",
        &["x"],
        json!({"subflowId": "child", "pinDefaults": {"x": 1}}),
    );
    sub["data"]["outputs"] = json!([{"id": "r", "type": "any"}]);
    let nodes = [start(), sub, end(&["r", "out", "child"])];
    let edges = "start.exec-out > sub.exec-in; sub.exec-out > end.exec-in; sub.r > end.r; sub.output > end.out; sub.child_output > end.child";
    let failure = json!({"result": null, "success": false, "error": "Effect failed after 1 attempts: boom"});
    let ended = drive(
        &real_program(&flow(&nodes, edges)),
        object(json!({})),
        10,
        &mut |_, _| Some(json!({"sub_run_id": "c", "output": failure})),
    );
    assert_eq!(ended.effects[0].1.payload["vars"], json!({"x": 1}));
    assert_eq!(
        ended.output,
        Some(json!({"r": null, "out": null, "child": failure, "success": true}))
    );
}

#[test]
fn s23_texts_are_pythons() {
    let nodes = [
        start(),
        literal("v", json!([true, null, 1.0, 1e21, {"a": [1, null, "it's"]}])),
        exec("each", "loop", &["items"], json!({})),
        pure("c", "concat", &["a", "b"], json!({"pinDefaults": {"b": "|"}})),
        exec("say", "answer_user", &["message"], json!({})),
    ];
    let edges = "start.exec-out > each.exec-in; v.value > each.items; each.loop > say.exec-in; each.item > c.a; c.result > say.message";
    let ended = run_real(&flow(&nodes, edges), json!({}));
    assert_eq!(
        ended.messages(),
        ["True |", " |", "1.0 |", "1e+21 |", "{'a': [1, None, \"it's\"]} |"]
    );
}
