use serde_json::{Value, json};

use super::*;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

#[test]
fn needs_follow_node_types() {
    let none = Needs::default();
    let table = [
        ("add", none),
        ("llm_call", Needs { llm: true, ..none }),
        ("transcribe_audio", Needs { llm: true, ..none }),
        (
            "agent",
            Needs {
                llm: true,
                tools: true,
                ..none
            },
        ),
        ("call_tool", Needs { tools: true, ..none }),
        (
            "model_residency",
            Needs {
                residency: true,
                ..none
            },
        ),
        (
            "memory_kg_query",
            Needs {
                knowledge: true,
                ..none
            },
        ),
        ("memory_query", none),
    ];
    let mut all = none;
    for (node_type, expected) in table {
        let needs = Needs::of(&object(json!({"nodes": [{"id": "n", "type": node_type}, 7]})));
        assert_eq!(needs, expected, "{node_type}");
        all = all.or(needs);
    }
    assert_eq!(
        all,
        Needs {
            llm: true,
            tools: true,
            residency: true,
            knowledge: true
        }
    );
}

#[test]
fn the_first_complete_route_wins() {
    let flow = object(json!({"nodes": [
        {"id": "0", "type": "code", "data": {"effectConfig": {"provider": "x", "model": "y"}}},
        {"id": "1", "type": "llm_call", "data": {"effectConfig": {"provider": "OpenAI"}}},
        {"id": "2", "type": "agent", "data": {"agentConfig": {"provider": "default", "model": "m"}}},
        {"id": "3", "type": "agent", "data": {"agentConfig": {}, "pinDefaults": {"provider": "LMStudio", "model": "Qwen"}}},
        {"id": "4", "type": "llm_call", "data": {"effectConfig": {"provider": "late", "model": "late"}}}
    ]}));
    let route = ModelRoute {
        provider: "lmstudio".into(),
        model: "Qwen".into(),
    };
    assert_eq!(default_route([&object(json!({})), &flow]), Some(route));
    assert_eq!(default_route([&object(json!({"nodes": 3}))]), None);
}

#[test]
fn only_subflows_that_execution_reaches() {
    let exec = |source: &str, target: &str| json!({"source": source, "sourceHandle": "exec-out", "target": target, "targetHandle": "exec-in"});
    let sub = |id: &str, target: &str| json!({"id": id, "type": "subflow", "data": {"flowId": target}});
    let nodes = json!([
        {"id": "start", "type": "on_flow_start"}, sub("a", "one"), sub("loop", "one"), sub("lost", "never"),
        {"id": "on", "type": "on_event"}, sub("b", "two"), sub("data-only", "never")
    ]);
    let edges = json!([exec("start", "a"), exec("a", "loop"), exec("loop", "a"), exec("on", "b"),
        {"source": "start", "sourceHandle": "x", "target": "data-only", "targetHandle": "y"}, "junk"]);
    let flow = object(json!({"nodes": nodes, "edges": edges}));
    assert_eq!(reachable_subflows(&flow), ["one", "two"]);
    assert_eq!(listener_nodes(&flow).collect::<Vec<_>>(), ["on"]);

    let mut named = flow;
    named.insert("entryNode".into(), json!("lost"));
    assert_eq!(reachable_subflows(&named), ["never", "two"]);
    named.insert("entryNode".into(), json!("ghost"));
    assert_eq!(reachable_subflows(&named), ["one", "two"]);

    let single = object(json!({"nodes": [{"id": "l", "type": "literal_string"}, sub("s", "only")]}));
    assert_eq!(reachable_subflows(&single), ["only"]);
}
