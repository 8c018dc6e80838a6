//! Branches and the ways they meet again (spec §6.2, §6.3; scenarios 7, 18 and 19 of §9).

use serde_json::{Value, json};

use crate::{
    driver::run,
    flow::{end, exec, flow, get, pure, set, start},
};

fn condition() -> Value {
    exec("if", "if", &["condition"], json!({}))
}

#[test]
fn an_unconnected_branch_completes_with_the_result() {
    for (input, branch) in [
        (json!("no"), true),
        (json!(0), false),
        (json!(""), false),
        (json!([]), false),
    ] {
        let nodes = [start(), condition(), end(&["r"])];
        let document = flow(
            &nodes,
            "start.exec-out > if.exec-in; start.c > if.condition; if.true > end.exec-in",
        );
        let output = run(&document, json!({"c": input})).output;
        let expected = if branch {
            json!({"r": null, "success": true})
        } else {
            json!({"branch": "false", "condition": input, "success": true})
        };
        assert_eq!(output, Some(expected));
    }
}

#[test]
fn overrides_pick_the_value_of_the_branch_taken() {
    for (taken, value, route) in [(true, "from true", 0), (false, "from false", 1)] {
        let arm = |id: &str| json!({"sourceNodeId": id, "sourceHandle": "value"});
        let overrides =
            json!({"inputRouteOverrides": {"v": {"sv1::exec-out": arm("l1"), "sv2::exec-out": arm("l2")}}});
        let nodes = [
            start(),
            condition(),
            set("sv1", "x"),
            set("sv2", "y"),
            pure("l1", "literal", &[], json!({"literalValue": "from true"})),
            pure("l2", "literal", &[], json!({"literalValue": "from false"})),
            exec("end", "end", &["v"], overrides),
        ];
        let edges = "start.exec-out > if.exec-in; start.c > if.condition; if.true > sv1.exec-in; if.false > sv2.exec-in
            sv1.exec-out > end.exec-in; sv2.exec-out > end.exec-in";
        let ended = run(&flow(&nodes, edges), json!({"c": taken}));
        assert_eq!(ended.output, Some(json!({"v": value, "success": true})));
        // The handle is that of the branch: `set_var` leaves it stale.
        let from = ["sv1", "sv2"][route];
        let join = &ended.vars["_temp"]["node_outputs"]["__internal_join_exec__end"];
        assert_eq!(
            join,
            &json!({"which": route, "from": from, "from_handle": taken.to_string()})
        );
    }
}

#[test]
fn overrides_fall_back_to_the_base_edge_or_the_default() {
    let routes = json!([{"key": "T", "sourceNodeId": "if", "sourceHandle": "true"}, {"key": "F", "sourceNodeId": "if", "sourceHandle": "false"}]);
    for (base_edge, expected) in [("base.value > end.v", "base"), ("", "default")] {
        let overrides = json!({"v": {"F": {"sourceNodeId": "l", "sourceHandle": "value"}, "gone": {}}});
        let data =
            json!({"entryRoutes": routes, "inputRouteOverrides": overrides, "pinDefaults": {"v": "default"}});
        let nodes = [
            start(),
            condition(),
            pure("base", "literal", &[], json!({"literalValue": "base"})),
            pure("l", "literal", &[], json!({"literalValue": "override"})),
            exec("end", "end", &["v"], data),
        ];
        let edges = format!(
            "start.exec-out > if.exec-in; start.c > if.condition; if.true > end.exec-in; if.false > end.exec-in; {base_edge}"
        );
        let document = flow(&nodes, &edges);
        for (taken, value) in [(true, expected), (false, "override")] {
            assert_eq!(
                run(&document, json!({"c": taken})).output,
                Some(json!({"v": value, "success": true}))
            );
        }
    }
}

#[test]
fn a_backward_edge_makes_a_loop() {
    let nodes = [
        start(),
        get("n", "n"),
        pure("inc", "add", &["a", "b"], json!({"pinDefaults": {"b": 1}})),
        set("set", "n"),
        pure("less", "less", &["a", "b"], json!({"pinDefaults": {"b": 3}})),
        condition(),
        end(&["n"]),
    ];
    let edges = "start.exec-out > set.exec-in; set.exec-out > if.exec-in; if.true > set.exec-in; if.false > end.exec-in
        n.value > inc.a; inc.result > set.value; n.value > less.a; less.result > if.condition; n.value > end.n";
    assert_eq!(
        run(&flow(&nodes, edges), json!({})).output,
        Some(json!({"n": 3.0, "success": true}))
    );
}

#[test]
fn an_ambiguous_route_is_warned_about_once() {
    // Both routes come from the same effect node, which leaves no handle behind.
    let nodes = [
        exec("e", "answer_user", &["message"], json!({})),
        exec("end", "end", &["v"], json!({})),
    ];
    let document = flow(&nodes, "e.true > end.exec-in; e.false > end.exec-in");
    let ended = run(&document, json!({}));
    assert_eq!(
        ended.vars["_flow_warnings"],
        json!([
            "#FALLBACK join_exec '__internal_join_exec__end': multiple incoming routes from 'e' but prev_exec_handle was missing; defaulting which=0."
        ])
    );
}

#[test]
fn a_function_with_branch_exits_names_its_branch() {
    let nodes = [
        start(),
        exec("f", "ten_by", &["branch"], json!({})),
        exec("yes", "end", &["branch"], json!({})),
        exec("no", "end", &["x"], json!({})),
    ];
    let document = flow(
        &nodes,
        "start.exec-out > f.exec-in; f.true > yes.exec-in; f.case:7 > no.exec-in",
    );
    let ended = run(&document, json!({"branch": "case:7"}));
    assert_eq!(
        (ended.node.as_str(), ended.output),
        ("no", Some(json!({"x": null, "success": true})))
    );
    let ended = run(&document, json!({"branch": "elsewhere"}));
    assert_eq!(
        ended.output,
        Some(json!({"branch": "elsewhere", "success": true}))
    );
}
