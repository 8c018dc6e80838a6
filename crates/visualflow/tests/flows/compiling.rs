//! What compiles, what does not, and with which words (spec §1).

use ag_kernel::Workflow;
use ag_visualflow::compile;
use serde_json::{Value, json};

use crate::{
    catalogue::Few,
    driver::{program, run},
    flow::{end, exec, flow, pure, start},
};

fn refused(document: &Value) -> String {
    compile(document, "b@1:main", &Few, None)
        .expect_err("the flow is wrong")
        .to_string()
}

#[test]
fn texts_of_the_contract() {
    let sequence = exec("sq", "sequence", &[], json!({}));
    let two_ends = [
        start(),
        exec("a", "end", &["x"], json!({})),
        exec("b", "end", &["x"], json!({})),
    ];
    let routed = |routes: Value| {
        let end = exec("end", "end", &["v"], json!({"entryRoutes": routes}));
        flow(
            &[start(), exec("if", "if", &[], json!({})), end],
            "start.exec-out > if.exec-in; if.true > end.exec-in; if.false > end.exec-in",
        )
    };
    let true_route = json!({"key": "T", "sourceNodeId": "if", "sourceHandle": "true"});
    for (document, text) in [
        (json!([]), "VisualFlow must be a JSON object"),
        (flow(&[], ""), "Invalid flow: Flow must have an entry node"),
        (
            flow(
                &two_ends,
                "start.exec-out > a.exec-in; start.exec-out > b.exec-in",
            ),
            "Node 'start' has multiple outgoing edges. Branching is not yet supported.",
        ),
        (
            flow(&two_ends, "start.exec-out > a.exec-in; start.true > b.exec-in"),
            "Node 'start' has multiple outgoing edges. Branching is not yet supported.",
        ),
        (
            flow(&two_ends, "start.weird > a.exec-in"),
            "Node 'start' has unsupported branching output 'weird'. Branching is not yet supported.",
        ),
        (
            flow(
                &[start(), sequence, end(&[])],
                "start.exec-out > sq.exec-in; sq.then:0 > end.exec-in; sq.z > end.exec-in; sq.then:x > end.exec-in",
            ),
            "Control node 'sq' has unsupported execution outputs: ['then:x', 'z']",
        ),
        (
            flow(
                &[start(), exec("j", "join_exec", &[], json!({}))],
                "start.exec-out > j.exec-in",
            ),
            "Join Exec node 'j' must have an outgoing exec edge.",
        ),
        (
            flow(&[start(), start()], ""),
            "Node 'start' already exists in flow 'b@1:main'",
        ),
        (
            flow(&two_ends, "start.exec-out > a.exec-in; start.p > a.x; b.q > a.x"),
            "Multiple data edges target the same input pin. Target 'a.x' is already wired from 'start.p' and cannot also be wired from 'b.q'. Use multi-entry route overrides for per-execution-path values instead of wiring duplicate data inputs.",
        ),
        (
            routed(json!([true_route])),
            "Node 'end' entryRoutes mismatch with incoming exec edges. missing=[] extra=[('if', 'false')]. Reconnect the exec wires or resave the flow.",
        ),
        (
            routed(json!([true_route, true_route])),
            "Node 'end' has a duplicate entryRoutes entry 'if::true'. Reconnect the exec wires or resave the flow.",
        ),
    ] {
        assert_eq!(refused(&document), text);
    }
    let nameless = json!({"nodes": []});
    assert_eq!(
        compile(&nameless, "", &Few, None).expect_err("no id").to_string(),
        "VisualFlow missing required 'id'"
    );
}

#[test]
fn junk_and_unreachable_nodes_are_ignored() {
    let mut document = flow(
        &[
            start(),
            end(&["v"]),
            exec("orphan", "if", &[], json!({})),
            exec("other", "start", &[], json!({})),
        ],
        "start.exec-out > end.exec-in; start.v > end.v; orphan.weird > other.exec-in; ghost.v > end.w; start.exec-out > ghost.exec-in",
    );
    document["nodes"].as_array_mut().expect("nodes").extend([
        json!("junk"),
        json!({"id": "", "type": "start"}),
        json!({"id": "bare", "type": "literal"}),
    ]);
    document["edges"]
        .as_array_mut()
        .expect("edges")
        .extend([json!(1), json!({"source": "start", "target": "end"})]);
    assert_eq!(
        run(&document, json!({"v": "kept"})).output,
        Some(json!({"v": "kept", "success": true}))
    );
}

#[test]
fn the_entry_is_saved_given_or_found() {
    let nodes = [
        exec("a", "start", &[], json!({})),
        exec("b", "start", &[], json!({})),
        exec("c", "on_event", &[], json!({})),
    ];
    let mut document = flow(&nodes, "b.exec-out > a.exec-in");
    assert_eq!(program(&document).entry_node(), "b");
    document["entryNode"] = json!("c");
    assert_eq!(program(&document).entry_node(), "c");
    document["entryNode"] = json!("nobody");
    assert_eq!(program(&document).entry_node(), "b");
    let listener = compile(&document, "w", &Few, Some("c")).expect("a listener");
    assert_eq!((listener.entry_node(), listener.flow_id()), ("c", "w"));
    assert_eq!(program(&document).listeners().collect::<Vec<_>>(), ["c"]);
    let error = compile(&document, "w", &Few, Some("nobody"))
        .expect_err("no such entry")
        .to_string();
    assert_eq!(
        error,
        "Invalid flow: Entry node 'nobody' is not an executable node"
    );
    // All in a ring: the first in document order.
    let ring = flow(
        &nodes,
        "a.exec-out > b.exec-in; b.exec-out > a.exec-in; c.exec-out > c.exec-in",
    );
    assert_eq!(program(&ring).entry_node(), "a");
}

#[test]
fn programs_know_their_pools_agents_and_subflows() {
    let document = flow(
        &[
            start(),
            exec(
                "ag",
                "agent",
                &[],
                json!({"agentConfig": {"model": "m"}, "pool": "gpu"}),
            ),
            exec("s1", "subflow", &[], json!({"subflowId": "one"})),
            exec("s2", "subflow", &[], json!({"workflow_id": "two"})),
            exec("orphan", "code", &[], json!({})),
            pure("unread", "object", &[], json!({})),
            pure("read", "add", &[], json!({})),
        ],
        "start.exec-out > ag.exec-in; ag.exec-out > s1.exec-in; read.result > s1.x",
    );
    let program = program(&document);
    assert_eq!(program.pool("ag"), Some("gpu"));
    assert_eq!(program.pool("start"), None);
    let agents: Vec<_> = program
        .agents()
        .map(|agent| (agent.node_id, agent.agent_config.cloned()))
        .collect();
    assert_eq!(agents, [("ag", json!({"model": "m"}).as_object().cloned())]);
    assert_eq!(
        program.subflows().map(|sub| sub.flow_id).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(
        program.node_types().collect::<Vec<_>>(),
        ["start", "agent", "subflow", "add"]
    );
    assert!(program.uses("add") && !program.uses("code") && !program.uses("object"));
}
