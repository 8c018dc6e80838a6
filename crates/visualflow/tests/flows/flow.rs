//! Writing flows in few words.

use serde_json::{Value, json};

use crate::catalogue::object;

/// A flow document: nodes, and edges as `a.exec-out > b.exec-in` separated by white space or semicolons.
pub(crate) fn flow(nodes: &[Value], edges: &str) -> Value {
    let end = |text: &str| {
        let (node, pin) = text.trim().split_once('.').expect("node.pin");
        (node.to_owned(), pin.to_owned())
    };
    let edges: Vec<Value> = edges
        .split([';', '\n'])
        .filter(|edge| !edge.trim().is_empty())
        .map(|edge| {
            let (from, to) = edge.split_once('>').expect("from > to");
            let ((source, source_handle), (target, target_handle)) = (end(from), end(to));
            json!({"source": source, "sourceHandle": source_handle, "target": target, "targetHandle": target_handle})
        })
        .collect();
    json!({"id": "main", "nodes": nodes, "edges": edges})
}

/// A node with execution pins and these data inputs.
pub(crate) fn exec(id: &str, kind: &str, inputs: &[&str], data: Value) -> Value {
    node(id, kind, inputs, &["exec-in"], data)
}

/// A node without execution pins.
pub(crate) fn pure(id: &str, kind: &str, inputs: &[&str], data: Value) -> Value {
    node(id, kind, inputs, &[], data)
}

fn node(id: &str, kind: &str, inputs: &[&str], exec: &[&str], data: Value) -> Value {
    let pin = |id: &&str, kind: &str| json!({"id": id, "label": id, "type": kind});
    let mut pins: Vec<_> = exec.iter().map(|id| pin(id, "execution")).collect();
    pins.extend(inputs.iter().map(|id| pin(id, "any")));
    let mut data = object(data);
    data.insert("inputs".into(), pins.into());
    data.insert("outputs".into(), json!([{"id": "anything", "type": "any"}]));
    json!({"id": id, "type": kind, "data": data})
}

/// `set_var` of a name, with an unconnected or default value.
pub(crate) fn set(id: &str, name: &str) -> Value {
    exec(
        id,
        "set_var",
        &["name", "value"],
        json!({"pinDefaults": {"name": name}}),
    )
}

/// `get_var` of a name.
pub(crate) fn get(id: &str, name: &str) -> Value {
    pure(id, "get_var", &["name"], json!({"pinDefaults": {"name": name}}))
}

pub(crate) fn start() -> Value {
    exec("start", "start", &[], json!({}))
}

pub(crate) fn end(inputs: &[&str]) -> Value {
    exec("end", "end", inputs, json!({}))
}

/// A node that appends to the variable `log`, through data nodes of its own.
pub(crate) fn log(id: &str) -> [Value; 3] {
    [
        set(id, "log"),
        get(&format!("{id}_get"), "log"),
        pure(&format!("{id}_append"), "append", &["list", "item"], json!({})),
    ]
}

/// The data edges of [`log`].
pub(crate) fn log_edges(id: &str) -> String {
    format!("{id}_get.value > {id}_append.list; {id}_append.result > {id}.value;")
}
