//! Workflows in a few lines; pins follow from the edges.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A VisualFlow under construction. Every flow has a node `start`.
#[derive(Debug, Clone)]
pub struct Flow {
    id: String,
    nodes: Vec<Node>,
    edges: Vec<[String; 4]>,
}

#[derive(Debug, Clone)]
struct Node {
    id: String,
    kind: String,
    data: Map<String, Value>,
}

const EXEC: [&str; 2] = ["exec-in", "exec-out"];

impl Flow {
    /// A flow whose start node hands out `inputs`.
    #[must_use]
    pub fn new(id: &str, inputs: &[&str]) -> Self {
        let mut flow = Self {
            id: id.to_owned(),
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        let outputs: Vec<_> = inputs.iter().map(|id| pin(id)).collect();
        flow = flow.node("start", "on_flow_start", json!({"more_outputs": outputs}));
        flow
    }

    /// Adds a node; `data` is merged into its `data`.
    #[must_use]
    pub fn node(mut self, id: &str, kind: &str, data: Value) -> Self {
        let Value::Object(data) = data else {
            return self;
        };
        self.nodes.push(Node {
            id: id.to_owned(),
            kind: kind.to_owned(),
            data,
        });
        self
    }

    /// Adds a node with constant inputs, executed after `after` (`node` or `node.handle`).
    #[must_use]
    pub fn step(self, after: &str, id: &str, kind: &str, constants: Value) -> Self {
        self.node(id, kind, json!({"pinDefaults": constants}))
            .then(after, id)
    }

    /// Execution order: `to` after `from` (`node` or `node.handle`).
    #[must_use]
    pub fn then(mut self, from: &str, to: &str) -> Self {
        let (node, handle) = from.split_once('.').unwrap_or((from, EXEC[1]));
        self.edges.push([node, handle, to, EXEC[0]].map(str::to_owned));
        self
    }

    /// Data from `node.pin` to `node.pin`.
    #[must_use]
    pub fn data(mut self, from: &str, to: &str) -> Self {
        let (source, output) = from.split_once('.').unwrap_or((from, ""));
        let (target, input) = to.split_once('.').unwrap_or((to, ""));
        self.edges
            .push([source, output, target, input].map(str::to_owned));
        self
    }

    /// The flow's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The document.
    #[must_use]
    pub fn json(&self) -> Value {
        let nodes: Vec<_> = self.nodes.iter().map(|node| self.node_json(node)).collect();
        let edges: Vec<_> = (1..)
            .zip(&self.edges)
            .map(|(n, [source, output, target, input])| {
                json!({"id": format!("e{n}"), "source": source, "sourceHandle": output, "target": target, "targetHandle": input})
            })
            .collect();
        json!({"id": self.id, "name": self.id, "description": "", "interfaces": [], "nodes": nodes, "edges": edges})
    }

    fn node_json(&self, node: &Node) -> Value {
        let mut data = node.data.clone();
        let mut inputs = BTreeMap::new();
        let mut outputs = BTreeMap::new();
        for [source, output, target, input] in &self.edges {
            if *target == node.id {
                inputs.insert(input.as_str(), pin(input));
            }
            if *source == node.id {
                outputs.insert(output.as_str(), pin(output));
            }
        }
        for name in data
            .get("pinDefaults")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            inputs.entry(name.0.as_str()).or_insert_with(|| pin(name.0));
        }
        let inputs: Vec<_> = inputs.into_values().collect();
        let mut outputs: Vec<_> = outputs.into_values().collect();
        if let Some(Value::Array(more)) = data.remove("more_outputs") {
            let new: Vec<_> = more.into_iter().filter(|pin| !outputs.contains(pin)).collect();
            outputs.extend(new);
        }
        data.insert("nodeType".to_owned(), json!(node.kind));
        data.insert("label".to_owned(), json!(node.id));
        data.insert("inputs".to_owned(), inputs.into());
        data.insert("outputs".to_owned(), outputs.into());
        json!({"id": node.id, "type": node.kind, "position": {"x": 0, "y": 0}, "data": data})
    }
}

fn pin(id: &str) -> Value {
    let exec = EXEC.contains(&id) || matches!(id, "loop" | "done" | "true" | "false");
    let kind = if exec { "execution" } else { "any" };
    json!({"id": id, "label": if exec { "" } else { id }, "type": kind})
}
