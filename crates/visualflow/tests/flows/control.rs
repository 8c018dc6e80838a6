//! Loops, sequences and the return rule (spec §6.1, scenarios 2-9 and 12 of §9).

use serde_json::{Value, json};

use crate::{
    driver::run,
    flow::{end, exec, flow, get, log, log_edges, pure, set, start},
};

/// Two-level foreach: items, then `x <item>` and `y <item>` by a sequence; `done` leads to the end.
fn nested(then1: Value, done: &str) -> Value {
    let answer = |id: &str, text: &str| {
        [
            exec(id, "answer_user", &["message"], json!({})),
            pure(
                &format!("{id}_text"),
                "object",
                &["item"],
                json!({"pinDefaults": {"say": text}}),
            ),
        ]
    };
    let nodes = [
        vec![
            start(),
            exec(
                "each",
                "loop",
                &["items"],
                json!({"pinDefaults": {"items": ["p", "q"]}}),
            ),
        ],
        vec![
            exec("sq", "sequence", &[], json!({})),
            then1,
            end(&["index", "item"]),
        ],
        answer("a", "x").to_vec(),
    ]
    .concat();
    let edges =
        "start.exec-out > each.exec-in; each.loop > sq.exec-in; sq.then:0 > a.exec-in; sq.then:1 > b.exec-in
        each.item > a_text.item; a_text.result > a.message; each.item > b.message
        each.index > end.index; each.item > end.item";
    flow(&nodes, &format!("{edges}; {done}"))
}

fn answer_b() -> Value {
    exec("b", "answer_user", &["message"], json!({}))
}

#[test]
fn foreach_with_a_sequence_inside() {
    let ended = run(&nested(answer_b(), "each.done > end.exec-in"), json!({}));
    assert_eq!(
        ended.output,
        Some(json!({"index": 1, "item": "q", "success": true}))
    );
    assert_eq!(
        ended.messages(),
        ["{'item': 'p', 'say': 'x'}", "p", "{'item': 'q', 'say': 'x'}", "q"]
    );
    // Effects at the end of a branch name no successor, but the cursor goes back to the control node.
    let (_, effect, next) = &ended.effects[0];
    assert_eq!(
        (effect.payload.get("resume_to_node"), next.as_deref()),
        (Some(&Value::Null), Some("sq"))
    );
    assert_eq!(
        ended.vars["_temp"]["_control"],
        json!({"stack": [], "frames": {}})
    );
}

#[test]
fn an_end_in_a_branch_ends_the_run() {
    let ended = run(
        &nested(
            exec("b", "end", &["message"], json!({})),
            "each.done > end.exec-in",
        ),
        json!({}),
    );
    assert_eq!(ended.output, Some(json!({"message": "p", "success": true})));
    assert_eq!(ended.vars["_temp"]["_control"]["stack"], json!(["each", "sq"]));
}

#[test]
fn a_loop_without_done_ends_with_the_ambient_value() {
    let ended = run(&nested(answer_b(), ""), json!({"k": 1}));
    assert_eq!(
        ended.output,
        Some(json!({"success": true, "result": {"k": 1, "item": "q", "index": 1, "total": 2}}))
    );
    assert_eq!(ended.node, "each");
}

#[test]
fn loop_items() {
    let nodes = |items: Value| {
        let each = exec(
            "each",
            "loop",
            &["items"],
            json!({"pinDefaults": {"items": items}}),
        );
        let document = [
            vec![start(), each, end(&["log"]), get("g", "log")],
            log("log").to_vec(),
        ]
        .concat();
        let edges = "start.exec-out > each.exec-in; each.loop > log.exec-in; each.done > end.exec-in; g.value > end.log; each.item > log_append.item;";
        run(
            &flow(&document, &format!("{edges}{}", log_edges("log"))),
            json!({}),
        )
        .output
        .expect("completes")["log"]
            .take()
    };
    assert_eq!(nodes(json!(["a", null, {"k": 1}])), json!(["a", null, {"k": 1}]));
    assert_eq!(nodes(json!("xyz")), json!(["xyz"]));
    assert_eq!(nodes(json!(null)), json!(null));
    assert_eq!(nodes(json!([])), json!(null));
}

#[test]
fn for_counts_and_refuses() {
    let run_range = |defaults: Value| {
        let nodes = [
            vec![
                start(),
                exec(
                    "for",
                    "for",
                    &["start", "end", "step"],
                    json!({"pinDefaults": defaults}),
                ),
            ],
            vec![
                pure("o", "object", &["i", "index", "total"], json!({})),
                end(&["log"]),
                get("g", "log"),
            ],
            log("log").to_vec(),
        ]
        .concat();
        let edges =
            "start.exec-out > for.exec-in; for.loop > log.exec-in; for.done > end.exec-in; g.value > end.log
            for.i > o.i; for.index > o.index; for.total > o.total; o.result > log_append.item;";
        run(&flow(&nodes, &format!("{edges}{}", log_edges("log"))), json!({}))
    };
    let passes = |defaults| run_range(defaults).output.expect("completes");
    let pass = |i: f64, index: u64| json!({"i": i, "index": index, "total": 3});
    assert_eq!(
        passes(json!({"start": 1, "end": "2", "step": 0.4}))["log"],
        json!([pass(1.0, 0), pass(1.4, 1), pass(1.4 + 0.4, 2)])
    );
    assert_eq!(
        passes(json!({"start": 3, "end": 0, "step": -1}))["log"],
        json!([pass(3.0, 0), pass(2.0, 1), pass(1.0, 2)])
    );
    assert_eq!(passes(json!({"start": 5, "end": 1}))["log"], json!(null));
    for (defaults, error) in [
        (
            json!({"start": 0}),
            "For loop requires numeric 'start' and 'end'.",
        ),
        (
            json!({"start": 0, "end": 3, "step": 0}),
            "For loop requires a non-zero 'step'.",
        ),
    ] {
        assert_eq!(
            passes(defaults),
            json!({"error": error, "success": false, "node": "for"})
        );
    }
}

#[test]
fn for_is_capped() {
    let nodes = [
        start(),
        exec(
            "for",
            "for",
            &[],
            json!({"pinDefaults": {"start": 0, "end": 1e9}}),
        ),
        set("body", "x"),
    ];
    let output = run(
        &flow(&nodes, "start.exec-out > for.exec-in; for.loop > body.exec-in"),
        json!({}),
    )
    .output;
    assert_eq!(
        output.expect("completes")["error"],
        json!("For loop exceeded max_iterations=10000")
    );
}

/// `while n < limit: n = n + 1`.
fn counting(limit: Value) -> Value {
    flow(
        &[
            start(),
            get("n", "n"),
            pure("less", "less", &["a", "b"], json!({"pinDefaults": {"b": limit}})),
            exec("while", "while", &["condition"], json!({})),
            pure("inc", "add", &["a", "b"], json!({"pinDefaults": {"b": 1}})),
            set("set", "n"),
            end(&["n", "index", "item"]),
        ],
        "start.exec-out > while.exec-in; while.loop > set.exec-in; while.done > end.exec-in
         n.value > less.a; less.result > while.condition; n.value > inc.a; inc.result > set.value
         n.value > end.n; while.index > end.index; while.item > end.item",
    )
}

#[test]
fn while_reevaluates_and_is_capped() {
    let output = run(&counting(json!(3)), json!({"n": 0})).output;
    assert_eq!(
        output,
        Some(json!({"n": 3.0, "index": 2, "item": {"n": 0}, "success": true}))
    );
    let output = run(&counting(json!(1e9)), json!({"n": 0})).output;
    assert_eq!(
        output,
        Some(json!({"error": "While loop exceeded max_iterations=10000", "success": false, "node": "while"}))
    );
}

#[test]
fn parallel_runs_in_number_order_then_completes() {
    let branch = |n: u32| {
        exec(
            &format!("b{n}"),
            "answer_user",
            &["message"],
            json!({"pinDefaults": {"message": n}}),
        )
    };
    let nodes = [
        start(),
        exec("par", "parallel", &[], json!({})),
        branch(2),
        branch(10),
        branch(1),
        branch(99),
    ];
    let edges = "start.exec-out > par.exec-in; par.then:10 > b10.exec-in; par.then:2 > b2.exec-in; par.completed > b99.exec-in; par.then:1 > b1.exec-in";
    let ended = run(&flow(&nodes, edges), json!({}));
    assert_eq!(ended.messages(), ["1", "2", "10", "99"]);
    assert_eq!(ended.output.expect("completes")["result"]["message"], json!("99"));
}

#[test]
fn an_error_in_a_loop_body_ends_that_pass_only() {
    let nodes = [
        start(),
        exec(
            "each",
            "loop",
            &["items"],
            json!({"pinDefaults": {"items": [1, 0, 2]}}),
        ),
        exec("code", "ten_by", &["input"], json!({})),
        exec("say", "answer_user", &["message"], json!({})),
        end(&["i", "last"]),
    ];
    let edges = "start.exec-out > each.exec-in; each.loop > code.exec-in; code.exec-out > say.exec-in; each.done > end.exec-in
        each.item > code.input; code.output > say.message; each.index > end.i; code.output > end.last";
    let ended = run(&flow(&nodes, edges), json!({}));
    assert_eq!(ended.output, Some(json!({"i": 2, "last": 5.0, "success": true})));
    assert_eq!(ended.messages(), ["10.0", "5.0"]);
    assert_eq!(
        ended.vars["_flow_error"],
        json!("Runtime error: division by zero")
    );
    assert_eq!(ended.vars["_flow_error_node"], json!("code"));
}

#[test]
fn an_explicit_edge_restarts_a_loop() {
    // The body goes back to the loop by wire until the counter reaches 2: the first item is seen again each time.
    let nodes = [
        vec![
            start(),
            exec(
                "each",
                "loop",
                &["items"],
                json!({"pinDefaults": {"items": ["a", "b"]}}),
            ),
        ],
        vec![
            exec("if", "if", &["condition"], json!({})),
            get("n", "n"),
            end(&["log"]),
            get("all", "log"),
        ],
        vec![pure(
            "less",
            "less",
            &["a", "b"],
            json!({"pinDefaults": {"b": 2}}),
        )],
        vec![
            set("count", "n"),
            pure("inc", "add", &["a", "b"], json!({"pinDefaults": {"b": 1}})),
        ],
        log("log").to_vec(),
    ]
    .concat();
    let edges = "start.exec-out > each.exec-in; each.loop > log.exec-in; log.exec-out > if.exec-in
        if.true > count.exec-in; count.exec-out > each.exec-in; each.done > end.exec-in; each.item > log_append.item
        n.value > less.a; less.result > if.condition; n.value > inc.a; inc.result > count.value; all.value > end.log;";
    let ended = run(&flow(&nodes, &format!("{edges}{}", log_edges("log"))), json!({}));
    assert_eq!(
        ended.output,
        Some(json!({"log": ["a", "a", "a", "b"], "success": true}))
    );
}

#[test]
fn loop_resolution_errors_fail_the_run() {
    let nodes = [
        start(),
        pure("f", "fails", &[], json!({})),
        exec("each", "loop", &["items"], json!({})),
    ];
    let ended = run(
        &flow(&nodes, "start.exec-out > each.exec-in; f.result > each.items"),
        json!({}),
    );
    assert_eq!(ended.error.as_deref(), Some("ValueError: Division by zero"));
    assert_eq!(
        ended.vars["_flow_error"],
        json!("Loop items resolution failed: Division by zero")
    );
}
