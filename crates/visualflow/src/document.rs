//! The saved form of a flow.

mod parse;

use ag_types::Object;
use serde_json::Value;

pub use parse::DocumentError;

/// A declared pin of a saved node.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    /// Pin id.
    pub id: String,
    /// Label, often equal to the id.
    pub label: String,
    /// Pin type; `execution` makes a node executable.
    pub kind: String,
}

/// The part of a saved node that its behaviour reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeConfig {
    /// Wire type name, lower case.
    pub kind: String,
    /// The whole `data` object.
    pub data: Object,
    /// Declared inputs without execution pins, in saved order; `None` when the node declares none at all.
    pub inputs: Option<Vec<Pin>>,
    /// Declared outputs without execution pins.
    pub outputs: Option<Vec<Pin>>,
}

impl NodeConfig {
    /// `data.effectConfig.<key>`, unless absent or null.
    pub fn effect_config(&self, key: &str) -> Option<&Value> {
        self.section("effectConfig", key)
    }
    /// `data.<section>.<key>`, unless absent or null.
    pub fn section(&self, section: &str, key: &str) -> Option<&Value> {
        self.data.get(section)?.get(key).filter(|value| !value.is_null())
    }
    /// `data.literalValue`.
    pub fn literal(&self) -> Option<&Value> {
        self.data.get("literalValue")
    }
    /// `data.pinDefaults`.
    pub fn pin_defaults(&self) -> Option<&Object> {
        self.data.get("pinDefaults")?.as_object()
    }
    /// True if the saved node declares this data input pin.
    pub fn declares_input(&self, pin: &str) -> bool {
        self.inputs
            .as_deref()
            .is_some_and(|pins| pins.iter().any(|declared| declared.id == pin))
    }
}

/// A saved node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlowNode {
    /// Node id, never empty.
    pub id: String,
    /// Configuration.
    pub config: NodeConfig,
    /// Whether the saved pins tell if the node is executable: `None` when no pins are declared, so that its type
    /// decides (spec §1.2).
    pub exec_pins: Option<bool>,
}

/// A saved edge; none of its parts is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Node it leaves.
    pub source: String,
    /// Output pin it leaves.
    pub source_handle: String,
    /// Node it enters.
    pub target: String,
    /// Input pin it enters; `exec-in` makes it an exec edge.
    pub target_handle: String,
}

/// A flow as saved, without what loading drops (spec §1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlowDocument {
    /// `id`, `flow_id` or `workflow_id`; `None` where the document names itself nowhere, as flows of a bundle may.
    pub id: Option<String>,
    /// `entryNode`.
    pub entry_node: Option<String>,
    /// Nodes in document order; ids may repeat (the compiler reports that).
    pub nodes: Vec<FlowNode>,
    /// Edges in document order; their ends may not exist.
    pub edges: Vec<Edge>,
}
