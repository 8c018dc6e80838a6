//! Flow documents as the editor writes them.

use serde_json::{Value, json};

fn pins(pins: &[(&str, &str)]) -> Value {
    pins.iter()
        .map(|(id, kind)| json!({"id": id, "label": id, "type": kind}))
        .collect()
}

pub(crate) fn node(
    id: &str,
    kind: &str,
    inputs: &[(&str, &str)],
    outputs: &[(&str, &str)],
    more: Value,
) -> Value {
    let mut data = json!({"nodeType": kind, "label": id, "inputs": pins(inputs), "outputs": pins(outputs)});
    for (key, value) in more.as_object().into_iter().flatten() {
        data[key] = value.clone();
    }
    json!({"id": id, "type": kind, "position": {"x": 0, "y": 0}, "data": data})
}

pub(crate) fn edge(source: &str, from: &str, target: &str, to: &str) -> Value {
    json!({"id": format!("{source}.{from}-{target}.{to}"), "source": source, "sourceHandle": from, "target": target, "targetHandle": to})
}

pub(crate) const IN: (&str, &str) = ("exec-in", "execution");
pub(crate) const OUT: (&str, &str) = ("exec-out", "execution");

pub(crate) fn flow(nodes: Vec<Value>, edges: Vec<Value>) -> Value {
    json!({"id": "f", "name": "f", "nodes": nodes, "edges": edges})
}

pub(crate) fn start() -> Value {
    node("start", "on_flow_start", &[], &[OUT], json!({}))
}

pub(crate) fn end(pin: &str) -> Value {
    node("end", "on_flow_end", &[IN, (pin, "any")], &[], json!({}))
}

pub(crate) fn answer(id: &str, text: &str) -> Value {
    node(
        id,
        "answer_user",
        &[IN, ("message", "string")],
        &[OUT, ("message", "string")],
        json!({"pinDefaults": {"message": text}}),
    )
}

pub(crate) fn ask(id: &str) -> Value {
    node(
        id,
        "ask_user",
        &[IN, ("prompt", "string")],
        &[OUT, ("response", "string")],
        json!({"pinDefaults": {"prompt": "Name?"}}),
    )
}

pub(crate) fn delay(id: &str, seconds: f64) -> Value {
    node(
        id,
        "wait_until",
        &[IN, ("duration", "number")],
        &[OUT],
        json!({"pinDefaults": {"duration": seconds}}),
    )
}

pub(crate) fn chain(nodes: &[&str]) -> Vec<Value> {
    nodes
        .windows(2)
        .map(|pair| edge(pair[0], "exec-out", pair[1], "exec-in"))
        .collect()
}

pub(crate) fn asking() -> Value {
    let mut edges = chain(&["start", "q", "end"]);
    edges.push(edge("q", "response", "end", "name"));
    flow(vec![start(), ask("q"), end("name")], edges)
}

/// A model call whose prompt scripts the fake model.
pub(crate) fn model(id: &str, prompt: &str) -> Value {
    node(
        id,
        "llm_call",
        &[IN, ("prompt", "string")],
        &[OUT, ("response", "string")],
        json!({"pinDefaults": {"prompt": prompt}}),
    )
}

pub(crate) fn subflow(id: &str, child: &str) -> Value {
    node(
        id,
        "subflow",
        &[IN],
        &[OUT, ("output", "object")],
        json!({"subflowId": child}),
    )
}

pub(crate) fn set_var(id: &str, name: &str) -> Value {
    node(
        id,
        "set_var",
        &[IN, ("name", "string"), ("value", "any")],
        &[OUT],
        json!({"pinDefaults": {"name": name, "value": 1}}),
    )
}

/// Waits for the global event `name`.
pub(crate) fn listen(id: &str, name: &str) -> Value {
    node(
        id,
        "wait_event",
        &[IN, ("event_key", "string")],
        &[OUT, ("event_data", "object")],
        json!({"pinDefaults": {"event_key": format!("evt:global:global:{name}")}}),
    )
}

/// Sends the global event `name`.
pub(crate) fn emit(id: &str, name: &str) -> Value {
    node(
        id,
        "emit_event",
        &[IN, ("name", "string"), ("scope", "string")],
        &[OUT, ("delivered", "number")],
        json!({"pinDefaults": {"name": name, "scope": "global"}}),
    )
}

/// `start`, the nodes one after the other, `end` with nothing connected.
pub(crate) fn line(nodes: Vec<Value>) -> Value {
    line_to(nodes, None)
}

/// The same with an output of a node connected to the end.
pub(crate) fn line_to(nodes: Vec<Value>, result: Option<(&str, &str)>) -> Value {
    let ids: Vec<String> = nodes
        .iter()
        .map(|node| node["id"].as_str().expect("id").to_owned())
        .collect();
    let path: Vec<&str> = ["start"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .chain(["end"])
        .collect();
    let mut edges = chain(&path);
    edges.extend(result.map(|(source, pin)| edge(source, pin, "end", "got")));
    let nodes = [start()].into_iter().chain(nodes).chain([end("got")]).collect();
    flow(nodes, edges)
}
