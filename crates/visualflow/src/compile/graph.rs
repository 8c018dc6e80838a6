//! The document as a graph of indexes.

use std::collections::{HashMap, hash_map::Entry};

use super::{CompileError, classify};
use crate::{
    document::{FlowDocument, NodeConfig},
    node::{Behaviour, NodeCatalogue, OnInputError},
    program::{NodeIx, Route, Wire},
};

/// A node that is being compiled.
pub(super) struct Draft {
    pub(super) id: Box<str>,
    pub(super) config: NodeConfig,
    pub(super) behaviour: Option<Behaviour>,
    pub(super) on_input_error: OnInputError,
    pub(super) main_output: Option<&'static str>,
    pub(super) executable: bool,
    /// Another saved node has the same id.
    pub(super) repeated: bool,
    pub(super) wires: Vec<Wire>,
    /// Incoming routes of a join.
    pub(super) routes: Vec<Route>,
}

/// An exec edge between executable nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ExecEdge {
    pub(super) from: NodeIx,
    pub(super) handle: Box<str>,
    pub(super) to: NodeIx,
}

pub(super) struct Graph {
    pub(super) drafts: Vec<Draft>,
    pub(super) by_id: HashMap<Box<str>, NodeIx>,
    pub(super) exec: Vec<ExecEdge>,
}

impl Graph {
    /// Classifies nodes and splits edges (spec §1.1).
    pub(super) fn build(document: FlowDocument, catalogue: &dyn NodeCatalogue) -> Result<Self, CompileError> {
        let FlowDocument { nodes, edges, .. } = document;
        let mut graph = Self {
            drafts: Vec::with_capacity(nodes.len()),
            by_id: HashMap::with_capacity(nodes.len()),
            exec: Vec::new(),
        };
        for node in nodes {
            let found = catalogue.find(&node.config.kind);
            let behaviour = classify::behaviour(&node.config.kind, catalogue);
            let executable = classify::is_executable(&node.config.kind, behaviour.as_ref(), node.exec_pins);
            let draft = Draft {
                id: node.id.into_boxed_str(),
                on_input_error: found.map_or(OnInputError::Complete, |found| found.spec.on_input_error),
                main_output: found
                    .and_then(|found| found.spec.outputs.first())
                    .map(|pin| pin.id),
                config: node.config,
                behaviour,
                executable,
                repeated: false,
                wires: Vec::new(),
                routes: Vec::new(),
            };
            graph.add_saved(draft);
        }
        let mut wired: HashMap<(NodeIx, Box<str>), String> = HashMap::new();
        for edge in edges {
            let (Some(&from), Some(&to)) = (
                graph.by_id.get(edge.source.as_str()),
                graph.by_id.get(edge.target.as_str()),
            ) else {
                continue;
            };
            if edge.target_handle == "exec-in" {
                if graph.drafts[from as usize].executable && graph.drafts[to as usize].executable {
                    graph.exec.push(ExecEdge {
                        from,
                        handle: edge.source_handle.into_boxed_str(),
                        to,
                    });
                }
                continue;
            }
            if edge.source_handle == "exec-out" {
                continue;
            }
            let pin = edge.target_handle.into_boxed_str();
            let source = format!("{}.{}", edge.source, edge.source_handle);
            match wired.entry((to, pin.clone())) {
                Entry::Vacant(slot) => slot.insert(source),
                Entry::Occupied(slot) => {
                    return Err(CompileError::DuplicateDataEdge {
                        target: format!("{}.{pin}", edge.target),
                        first: slot.get().clone(),
                        second: source,
                    });
                }
            };
            let wire = Wire {
                from,
                handle: edge.source_handle.into_boxed_str(),
                pin,
            };
            graph.drafts[to as usize].wires.push(wire);
        }
        Ok(graph)
    }

    /// Adds a saved node. Of several with one id the last counts; that there were several is an error only where
    /// the entry reaches them.
    fn add_saved(&mut self, draft: Draft) {
        match self.by_id.entry(draft.id.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(self.drafts.len() as NodeIx);
                self.drafts.push(draft);
            }
            Entry::Occupied(slot) => {
                self.drafts[*slot.get() as usize] = Draft {
                    repeated: true,
                    ..draft
                };
            }
        }
    }

    /// Adds a synthetic node, whose id must be free.
    pub(super) fn add(&mut self, draft: Draft, flow_id: &str) -> Result<NodeIx, CompileError> {
        let ix = self.drafts.len() as NodeIx;
        match self.by_id.entry(draft.id.clone()) {
            Entry::Vacant(slot) => slot.insert(ix),
            Entry::Occupied(_) => {
                return Err(CompileError::DuplicateNode {
                    node: draft.id.into_string(),
                    flow: flow_id.to_owned(),
                });
            }
        };
        self.drafts.push(draft);
        Ok(ix)
    }
}
