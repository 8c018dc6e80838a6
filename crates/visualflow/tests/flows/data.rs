//! Input resolution and data evaluation (spec §3.1, §4).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    driver::run,
    flow::{end, exec, flow, get, pure, start},
};

#[test]
fn inputs_come_from_edges_defaults_and_the_ambient_value() {
    let data = json!({"pinDefaults": {"declared": "default", "undeclared": "default", "wired": "default", "gap": 1}});
    let nodes = [
        start(),
        exec(
            "f",
            "unknown_type",
            &["declared", "wired", "nothing", "whole"],
            data,
        ),
        end(&[]),
    ];
    let edges = "start.exec-out > f.exec-in; f.exec-out > end.exec-in; start.missing > f.wired; start.k > f.nothing; start.result > f.whole";
    let input = json!({"declared": "ambient", "undeclared": "ambient", "k": null, "extra": 2});
    assert_eq!(
        run(&flow(&nodes, edges), input.clone()).output,
        Some(json!({
            // Declared pins take their default over the ambient value, others only where there is none.
            "declared": "default", "undeclared": "ambient", "gap": 1,
            // A connected pin never takes its default; a null is a value.
            "nothing": null, "whole": input,
            "extra": 2, "k": null, "success": true,
        }))
    );
}

#[test]
fn non_objects_stay_ambient() {
    let nodes = [
        start(),
        exec("f", "ten_by", &["input"], json!({})),
        exec("g", "unknown_type", &[], json!({})),
        end(&[]),
    ];
    let edges =
        "start.exec-out > f.exec-in; start.n > f.input; f.exec-out > g.exec-in; g.exec-out > end.exec-in";
    assert_eq!(
        run(&flow(&nodes, edges), json!({"n": 4})).output,
        Some(json!({"response": 2.5, "success": true}))
    );
}

#[test]
fn input_and_output_keys() {
    let data = json!({"inputKey": "a.b", "outputKey": "x.y"});
    let nodes = [
        start(),
        exec("f", "unknown_type", &[], data),
        get("x", "x"),
        end(&["x"]),
    ];
    let document = flow(
        &nodes,
        "start.exec-out > f.exec-in; f.exec-out > end.exec-in; x.value > end.x",
    );
    assert_eq!(
        run(&document, json!({"a": {"b": {"k": 1}}})).output,
        Some(json!({"x": {"y": {"k": 1}}, "success": true}))
    );
}

#[test]
fn an_output_key_of_absurd_depth_is_ignored() {
    let deep = vec!["a"; 100_000].join(".");
    let nodes = [
        start(),
        exec("f", "unknown_type", &[], json!({"outputKey": deep})),
        get("a", "a"),
        end(&["a"]),
    ];
    let document = flow(
        &nodes,
        "start.exec-out > f.exec-in; f.exec-out > end.exec-in; a.value > end.a",
    );
    assert_eq!(
        run(&document, json!({})).output,
        Some(json!({"a": null, "success": true}))
    );
}

#[test]
fn pure_nodes_with_execution_pins_are_functions() {
    let nodes = [
        start(),
        exec("add", "add", &["a"], json!({"pinDefaults": {"b": 2}})),
        end(&[]),
    ];
    let document = flow(&nodes, "start.exec-out > add.exec-in; add.exec-out > end.exec-in");
    assert_eq!(
        run(&document, json!({"a": 1})).output,
        Some(json!({"result": 3.0, "success": true}))
    );
}

#[test]
fn random_values_differ_per_reader_and_others_are_shared() {
    let nodes = [
        start(),
        pure("r", "random", &[], json!({})),
        pure("over", "add", &["a"], json!({})),
        end(&["a", "b", "c", "d"]),
    ];
    let edges = "start.exec-out > end.exec-in; r.result > end.a; r.result > end.b; r.result > over.a; over.result > end.c; over.result > end.d";
    let output = run(&flow(&nodes, edges), json!({})).output.expect("completes");
    let values: HashSet<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|pin| output[pin].to_string())
        .collect();
    assert_eq!(values.len(), 4, "{output}");
}

/// `depth` additions, each reading the one before twice.
fn diamonds(depth: usize, bottom: Value) -> Value {
    let mut nodes = vec![start(), end(&["v"]), bottom];
    let mut edges =
        format!("start.exec-out > end.exec-in; n{depth}.result > end.v; n0.value > n1.a; n0.value > n1.b;");
    for n in 1..=depth {
        nodes.push(pure(&format!("n{n}"), "add", &["a", "b"], json!({})));
        if n > 1 {
            edges.push_str(&format!("n{0}.result > n{n}.a; n{0}.result > n{n}.b;", n - 1));
        }
    }
    flow(&nodes, &edges)
}

#[test]
fn diamonds_are_linear() {
    let output = run(&diamonds(60, get("n0", "n")), json!({"n": 1}))
        .output
        .expect("completes");
    assert_eq!(output["v"], json!(2_f64.powi(60)));
    // Over random values they cannot be; they end with an error instead of never.
    let mut random = diamonds(60, pure("n0", "random", &[], json!({})));
    for edge in random["edges"].as_array_mut().expect("edges") {
        if edge["source"] == "n0" {
            edge["sourceHandle"] = json!("result");
        }
    }
    let output = run(&random, json!({})).output.expect("completes");
    assert!(
        output["error"]
            .as_str()
            .is_some_and(|text| text.starts_with("Data edges need more than")),
        "{output}"
    );
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let length = 10_000;
    let mut nodes = vec![start(), end(&["v"])];
    let mut edges = format!("start.exec-out > end.exec-in; n{length}.result > end.v;");
    for n in 1..=length {
        nodes.push(pure(
            &format!("n{n}"),
            "add",
            &["a", "b"],
            json!({"pinDefaults": {"b": 1}}),
        ));
        if n > 1 {
            edges.push_str(&format!("n{}.result > n{n}.a;", n - 1));
        }
    }
    assert_eq!(
        run(&flow(&nodes, &edges), json!({})).output,
        Some(json!({"v": 10_000.0, "success": true}))
    );
}

#[test]
fn values_are_not_nested_without_bound() {
    let mut nodes = vec![start(), end(&["v"])];
    let mut edges = String::from("start.exec-out > end.exec-in; n200.result > end.v;");
    for n in 1..=200 {
        nodes.push(pure(&format!("n{n}"), "object", &["a"], json!({})));
        if n > 1 {
            edges.push_str(&format!("n{}.result > n{n}.a;", n - 1));
        }
    }
    let output = run(&flow(&nodes, &edges), json!({})).output.expect("completes");
    assert_eq!(
        output["error"],
        json!("Value is nested too deeply (more than 96 levels)")
    );
}

#[test]
fn cycles_are_errors() {
    let nodes = [
        start(),
        pure("a", "add", &["a"], json!({})),
        pure("b", "add", &["a"], json!({})),
        end(&["v"]),
    ];
    let edges = "start.exec-out > end.exec-in; a.result > b.a; b.result > a.a; a.result > end.v";
    let output = run(&flow(&nodes, edges), json!({})).output;
    assert_eq!(
        output,
        Some(json!({"error": "Data edge cycle detected at 'a'", "success": false, "node": "end"}))
    );
}

#[test]
fn where_an_exception_arises_decides_what_it_ends() {
    let fails = || pure("f", "fails", &[], json!({}));
    let soft = json!({"error": "Division by zero", "success": false, "node": "n"});
    for (kind, output, error) in [
        ("end", Some(&soft), None),
        ("if", Some(&soft), None),
        ("ten_by", Some(&soft), None),
        ("unknown_type", Some(&soft), None),
        ("answer_user", None, Some("ValueError: Division by zero")),
        ("set_var", None, Some("ValueError: Division by zero")),
    ] {
        let nodes = [start(), fails(), exec("n", kind, &["message"], json!({}))];
        let ended = run(
            &flow(&nodes, "start.exec-out > n.exec-in; f.result > n.message"),
            json!({}),
        );
        assert_eq!(
            (ended.output.as_ref(), ended.error.as_deref()),
            (output, error),
            "{kind}"
        );
    }
    // Events go on with what is configured.
    let nodes = [
        start(),
        fails(),
        exec(
            "n",
            "emit",
            &["message"],
            json!({"pinDefaults": {"message": "d", "x": 1}}),
        ),
    ];
    let ended = run(
        &flow(&nodes, "start.exec-out > n.exec-in; f.result > n.name"),
        json!({}),
    );
    assert_eq!(ended.messages(), ["d"]);
}

#[test]
fn host_questions_repeat_a_step_without_a_trace() {
    let nodes = [
        start(),
        pure("p", "asks", &[], json!({})),
        exec(
            "f",
            "ask_host",
            &["expression", "from"],
            json!({"pinDefaults": {"expression": "1+1"}}),
        ),
        end(&["answer", "p"]),
    ];
    let edges = "start.exec-out > f.exec-in; f.exec-out > end.exec-in; p.result > f.from; p.result > end.p";
    let output = run(&flow(&nodes, edges), json!({})).output;
    assert_eq!(
        output,
        Some(json!({"answer": {"asked": "1+1"}, "p": {"asked": {}}, "success": true}))
    );
}

#[test]
fn functions_without_execution_pins_supply_data() {
    let nodes = [
        start(),
        pure("f", "ten_by", &["input"], json!({"pinDefaults": {"input": 4}})),
        pure("s", "set_var", &["name"], json!({"pinDefaults": {"name": "x"}})),
        end(&["out", "set", "x"]),
        get("x", "x"),
    ];
    let edges = "start.exec-out > end.exec-in; f.output > end.out; s.value > end.set; x.value > end.x";
    let output = run(&flow(&nodes, edges), json!({})).output;
    assert_eq!(
        output,
        Some(json!({"out": 2.5, "set": null, "x": null, "success": true}))
    );
}
