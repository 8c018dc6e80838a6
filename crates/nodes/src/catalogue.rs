//! What is derived from the list of node types: the editor's catalogue and the table of the documentation.

use ag_visualflow::node::{Behaviour, ControlKind, NodeType, PinSpec};
use serde_json::{Value, json};

use crate::registry::Registry;

/// The catalogue for editors: `{"count", "nodes": [{type, label, category, kind, pure, doc, inputs, outputs}]}`,
/// execution pins included.
pub fn catalogue() -> Value {
    let nodes: Vec<_> = Registry::types().map(entry).collect();
    json!({"count": nodes.len(), "nodes": nodes})
}

/// The node types as a Markdown table.
pub fn doc_table() -> String {
    let mut table = String::from("| type | title | family | kind | inputs | outputs | what it does |\n");
    table.push_str("|---|---|---|---|---|---|---|\n");
    for node in Registry::types() {
        let spec = &node.spec;
        let cells = [
            &format!("`{}`", spec.kind),
            spec.title,
            spec.family,
            class(&node.behaviour),
            &names(spec.inputs),
            &names(spec.outputs),
            spec.doc,
        ]
        .map(|cell| cell.replace('|', "\\|"));
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

fn names(pins: &[PinSpec]) -> String {
    pins.iter()
        .map(|pin| format!("{}:{}", pin.id, pin.kind))
        .collect::<Vec<_>>()
        .join(", ")
}

fn class(behaviour: &Behaviour) -> &'static str {
    match behaviour {
        Behaviour::Literal => "literal",
        Behaviour::Pure(_) | Behaviour::Mux => "pure",
        Behaviour::Function(_) => "function",
        Behaviour::Branch(_) => "branch",
        Behaviour::Control(_) | Behaviour::Join => "control",
        Behaviour::Effect { .. } => "effect",
        Behaviour::End => "end",
    }
}

fn entry(node: &NodeType) -> Value {
    let spec = &node.spec;
    let class = class(&node.behaviour);
    let pure = matches!(class, "pure" | "literal");
    // Entries of a flow are reached by events, not by an edge.
    let entered = !pure
        && !matches!(
            spec.kind,
            "on_flow_start" | "on_user_request" | "on_agent_message" | "on_event" | "on_schedule"
        );
    let inputs = execution(if entered { &["exec-in"] } else { &[] }).chain(spec.inputs.iter().map(pin));
    let outputs = execution(exits(&node.behaviour, spec.kind)).chain(spec.outputs.iter().map(pin));
    json!({
        "type": spec.kind,
        "label": spec.title,
        "category": spec.family,
        "kind": class,
        "pure": pure,
        "doc": spec.doc,
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
    })
}

/// Execution outputs; those that an author adds (`then:n`, `case:…`) are left out.
fn exits(behaviour: &Behaviour, kind: &str) -> &'static [&'static str] {
    match behaviour {
        Behaviour::Literal | Behaviour::Pure(_) | Behaviour::Mux | Behaviour::End => &[],
        Behaviour::Branch(_) if kind == "if" => &["true", "false"],
        Behaviour::Branch(_) => &["default"],
        Behaviour::Control(ControlKind::Sequence) => &[],
        Behaviour::Control(ControlKind::Parallel) => &["completed"],
        Behaviour::Control(ControlKind::Loop | ControlKind::For | ControlKind::While) => &["loop", "done"],
        Behaviour::Function(_) | Behaviour::Effect { .. } | Behaviour::Join => &["exec-out"],
    }
}

fn execution(ids: &'static [&'static str]) -> impl Iterator<Item = Value> {
    ids.iter().map(|id| json!({"id": id, "type": "execution"}))
}

fn pin(pin: &PinSpec) -> Value {
    json!({"id": pin.id, "type": pin.kind})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_shows_pins_of_both_kinds() {
        let catalogue = catalogue();
        let find = |kind: &str| {
            let nodes = catalogue["nodes"].as_array().expect("list");
            nodes
                .iter()
                .find(|node| node["type"] == kind)
                .cloned()
                .expect("registered")
        };
        assert_eq!(catalogue["count"], 128);
        let add = find("add");
        assert_eq!((&add["pure"], &add["category"]), (&json!(true), &json!("math")));
        assert_eq!(
            add["inputs"],
            json!([{"id": "a", "type": "number"}, {"id": "b", "type": "number"}])
        );
        assert_eq!(
            find("ask_user")["inputs"][0],
            json!({"id": "exec-in", "type": "execution"})
        );
        assert_eq!(find("on_flow_start")["inputs"], json!([]));
        assert_eq!(find("if")["outputs"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn the_table_has_a_row_per_type() {
        let table = doc_table();
        assert_eq!(table.lines().count(), 130);
        assert!(
            table.contains(
                "| `abs` | Absolute | math | pure | value:number | result:number | Absolute value. |"
            )
        );
        let unescaped = table.replace("\\|", "");
        assert!(
            unescaped.lines().all(|line| line.matches('|').count() == 8),
            "every row has seven cells"
        );
    }
}
