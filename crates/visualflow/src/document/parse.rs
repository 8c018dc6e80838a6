//! Reading a saved flow: strict about the little that is needed, indifferent to everything else.

use ag_types::Object;
use serde_json::Value;

use super::{Edge, FlowDocument, FlowNode, NodeConfig, Pin};

/// A JSON value that is not a flow document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not an object.
    #[error("VisualFlow must be a JSON object")]
    NotAnObject,
}

impl FlowDocument {
    /// Reads a saved flow. Nodes without an id and edges without both ends and handles are dropped.
    ///
    /// # Errors
    /// [`DocumentError`] when the value is not an object.
    pub fn parse(document: &Value) -> Result<Self, DocumentError> {
        let document = document.as_object().ok_or(DocumentError::NotAnObject)?;
        let items = |key: &str| {
            document
                .get(key)
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        };
        Ok(Self {
            id: ["id", "flow_id", "workflow_id"]
                .iter()
                .find_map(|key| text(document, key))
                .map(str::to_owned),
            entry_node: text(document, "entryNode").map(str::to_owned),
            nodes: items("nodes").iter().filter_map(parse_node).collect(),
            edges: items("edges").iter().filter_map(parse_edge).collect(),
        })
    }
}

/// A text that is present and not empty.
fn text<'v>(map: &'v Object, key: &str) -> Option<&'v str> {
    map.get(key)?.as_str().filter(|text| !text.is_empty())
}

fn parse_node(node: &Value) -> Option<FlowNode> {
    let node = node.as_object()?;
    let id = text(node, "id")?.to_owned();
    let data = node
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let (inputs, outputs) = (parse_pins(&data, "inputs"), parse_pins(&data, "outputs"));
    let declared = || inputs.iter().chain(&outputs).flatten();
    let exec_pins = declared().next().map(|_| declared().any(is_exec));
    let without_exec = |pins: Option<Vec<Pin>>| {
        pins.map(|mut pins| {
            pins.retain(|pin| !is_exec(pin));
            pins
        })
    };
    let config = NodeConfig {
        kind: node.get("type").map(parse_kind).unwrap_or_default(),
        inputs: without_exec(inputs),
        outputs: without_exec(outputs),
        data,
    };
    Some(FlowNode {
        id,
        config,
        exec_pins,
    })
}

fn is_exec(pin: &Pin) -> bool {
    pin.kind == "execution"
}

/// A type is a text, `{"value": text}`, or the printed form of an enumeration (`NodeType.CODE`).
fn parse_kind(kind: &Value) -> String {
    let text = kind
        .as_str()
        .or_else(|| kind.get("value")?.as_str())
        .unwrap_or_default();
    match text.strip_prefix("NodeType.") {
        Some(name) => name.to_lowercase(),
        None => text.to_owned(),
    }
}

fn parse_pins(data: &Object, key: &str) -> Option<Vec<Pin>> {
    let pins = data.get(key)?.as_array()?;
    Some(
        pins.iter()
            .filter_map(|pin| {
                let pin = pin.as_object()?;
                let id = text(pin, "id")?.to_owned();
                let label = text(pin, "label").unwrap_or(&id).to_owned();
                let kind = pin.get("type").map(parse_kind).unwrap_or_default();
                Some(Pin { id, label, kind })
            })
            .collect(),
    )
}

fn parse_edge(edge: &Value) -> Option<Edge> {
    let edge = edge.as_object()?;
    Some(Edge {
        source: text(edge, "source")?.to_owned(),
        source_handle: text(edge, "sourceHandle")?.to_owned(),
        target: text(edge, "target")?.to_owned(),
        target_handle: text(edge, "targetHandle")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn junk_is_dropped_and_aliases_are_read() {
        let flow = FlowDocument::parse(&json!({
            "flow_id": "f", "entryNode": "",
            "nodes": [7, {"id": ""}, {"type": "code"}, {"id": "a", "type": {"value": "loop"}, "data": 3},
                      {"id": "b", "type": "NodeType.Code", "data": {"inputs": [{"id": "exec-in", "type": "execution"}, 4, {"id": "x"}]}}],
            "edges": [1, {"source": "a", "target": "b"},
                      {"source": "a", "sourceHandle": "h", "target": "b", "targetHandle": ""},
                      {"source": "a", "sourceHandle": "h", "target": "ghost", "targetHandle": "t"}],
        }))
        .expect("object");
        assert_eq!(flow.id.as_deref(), Some("f"));
        assert_eq!(flow.entry_node, None);
        let kinds: Vec<_> = flow
            .nodes
            .iter()
            .map(|node| (node.config.kind.as_str(), node.exec_pins))
            .collect();
        assert_eq!(kinds, [("loop", None), ("code", Some(true))]);
        let pins = flow.nodes[1].config.inputs.as_deref().expect("declared");
        assert_eq!(
            pins.iter().map(|pin| pin.label.as_str()).collect::<Vec<_>>(),
            ["x"]
        );
        assert_eq!(flow.nodes[1].config.outputs, None);
        assert_eq!(flow.edges.len(), 1);
    }

    #[test]
    fn a_flow_must_be_an_object() {
        assert_eq!(FlowDocument::parse(&json!([])), Err(DocumentError::NotAnObject));
    }
}
