//! From a saved document to a [`Program`].
//!
//! Passes, each linear in nodes and edges: classify nodes (spec §1.2), split edges into exec and data edges (§1.1),
//! lower exec fan-in to joins and per-route inputs to muxes (§6.3), choose the entry and drop what it does not reach
//! (§1.3), check exits (§1.4), link.

mod classify;
mod error;
mod graph;
mod link;
mod lower;

use serde_json::Value;

pub use error::CompileError;

use crate::{
    document::FlowDocument,
    node::NodeCatalogue,
    program::{NodeIx, Program},
};
use graph::Graph;

/// Compiles a flow document.
///
/// `workflow_id` is the id that runs carry (`bundle@version:flow`); it also names a document without an id.
/// `entry_override` makes another executable node the entry, as listener runs need it.
///
/// # Errors
/// [`CompileError`]; every text is the contract's.
pub fn compile(
    document: &Value,
    workflow_id: &str,
    catalogue: &dyn NodeCatalogue,
    entry_override: Option<&str>,
) -> Result<Program, CompileError> {
    let document = FlowDocument::parse(document)?;
    let flow_id = match (workflow_id, &document.id) {
        ("", None) => return Err(CompileError::MissingId),
        ("", Some(id)) => id.clone(),
        (given, _) => given.to_owned(),
    };
    // Synthetic nodes come on top of saved ones: at most one join per node and one mux per override.
    if document.nodes.len().max(document.edges.len()) >= (NodeIx::MAX / 4) as usize {
        return Err(CompileError::TooLarge);
    }
    let saved_entry = document.entry_node.clone();
    let mut graph = Graph::build(document, catalogue)?;
    // The saved incoming edges decide the entry, before joins take them over.
    let entry = choose_entry(&graph, saved_entry.as_deref(), entry_override)?;
    lower::fan_in(&mut graph, &flow_id)?;
    let mut program = link::link(graph, flow_id, entry)?;
    program.survey(catalogue);
    Ok(program)
}

fn choose_entry(
    graph: &Graph,
    saved: Option<&str>,
    entry_override: Option<&str>,
) -> Result<NodeIx, CompileError> {
    let executable = |id: &str| {
        graph
            .by_id
            .get(id)
            .copied()
            .filter(|&ix| graph.drafts[ix as usize].executable)
    };
    if let Some(id) = entry_override {
        return executable(id).ok_or_else(|| CompileError::UnknownEntry(id.to_owned()));
    }
    if let Some(entry) = saved.and_then(executable) {
        return Ok(entry);
    }
    let mut entered = vec![false; graph.drafts.len()];
    for edge in &graph.exec {
        entered[edge.to as usize] = true;
    }
    let candidates = || (0..graph.drafts.len()).filter(|&ix| graph.drafts[ix].executable);
    candidates()
        .find(|&ix| !entered[ix])
        .or_else(|| candidates().next())
        .map(|ix| ix as NodeIx)
        .ok_or(CompileError::NoEntry)
}
