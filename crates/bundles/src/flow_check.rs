//! What a flow document needs from the gateway, read from its node types and edges.

use std::collections::{HashMap, HashSet};

use crate::flow::{self, EXEC_IN, Object};

/// Capabilities a flow's nodes call for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Model calls: text, agents, media.
    pub llm: bool,
    /// Tool execution.
    pub tools: bool,
    /// Loading and unloading of models.
    pub residency: bool,
    /// The knowledge graph.
    pub knowledge: bool,
}

impl Needs {
    /// Reads the node types of a document; unreachable nodes count too, as in the reference.
    #[must_use]
    pub fn of(document: &Object) -> Self {
        flow::nodes(document)
            .filter_map(flow::node_type)
            .fold(Self::default(), |needs, node_type| {
                let node_type: &str = &node_type;
                let agent = node_type == "agent";
                Self {
                    llm: needs.llm || agent || MODEL_NODES.contains(&node_type),
                    tools: needs.tools || agent || matches!(node_type, "tool_calls" | "call_tool"),
                    residency: needs.residency || node_type == "model_residency",
                    knowledge: needs.knowledge || node_type.starts_with("memory_kg_"),
                }
            })
    }

    /// Needs of several documents together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            llm: self.llm || other.llm,
            tools: self.tools || other.tools,
            residency: self.residency || other.residency,
            knowledge: self.knowledge || other.knowledge,
        }
    }
}

/// Node types whose effect is a model call.
const MODEL_NODES: [&str; 12] = [
    "llm_call",
    "generate_image",
    "edit_image",
    "image_to_image",
    "upscale_image",
    "image_upscale",
    "generate_video",
    "text_to_video",
    "image_to_video",
    "generate_voice",
    "generate_music",
    "transcribe_audio",
];

/// Values that editors write for "not chosen".
const UNSET_ROUTES: [&str; 4] = [
    "default",
    "__default__",
    "__abstractcore_default__",
    "abstractcore.default",
];

/// A provider and a model that a flow names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRoute {
    /// Lower case.
    pub provider: String,
    /// As written.
    pub model: String,
}

/// The first complete provider/model pair in the documents: `effectConfig` of a model call, `agentConfig`
/// of an agent, or the pin defaults of either. The gateway's default where the host has none.
pub fn default_route<'a>(documents: impl IntoIterator<Item = &'a Object>) -> Option<ModelRoute> {
    documents.into_iter().flat_map(flow::nodes).find_map(|node| {
        let config = match &*flow::node_type(node)? {
            "llm_call" => "effectConfig",
            "agent" => "agentConfig",
            _ => return None,
        };
        let data = flow::data(node)?;
        [config, "pinDefaults"]
            .into_iter()
            .find_map(|key| route(data.get(key)?.as_object()?))
    })
}

fn route(config: &Object) -> Option<ModelRoute> {
    let chosen = |key| {
        flow::text(config, key)
            .map(str::trim)
            .filter(|value| !UNSET_ROUTES.iter().any(|unset| value.eq_ignore_ascii_case(unset)))
    };
    Some(ModelRoute {
        provider: chosen("provider")?.to_lowercase(),
        model: chosen("model")?.to_owned(),
    })
}

/// Ids of the `on_event` nodes, in document order: one listener workflow each.
pub fn listener_nodes(document: &Object) -> impl Iterator<Item = &str> {
    flow::nodes(document)
        .filter(|node| flow::is_type(node, "on_event"))
        .filter_map(flow::node_id)
}

/// Ids of the agent nodes, in document order: one reasoning-loop workflow each.
pub fn agent_nodes(document: &Object) -> impl Iterator<Item = &str> {
    flow::nodes(document)
        .filter(|node| flow::is_type(node, "agent"))
        .filter_map(flow::node_id)
}

/// Flows that `subflow` nodes start which execution can reach from the entry or from an `on_event`
/// node; each once, in document order. Linear in nodes and edges.
#[must_use]
pub fn reachable_subflows(document: &Object) -> Vec<&str> {
    let reached = reachable(document);
    let mut seen = HashSet::new();
    flow::nodes(document)
        .filter(|node| flow::node_id(node).is_some_and(|id| reached.contains(id)))
        .filter_map(flow::subflow_target)
        .filter(|target| seen.insert(*target))
        .collect()
}

fn reachable(document: &Object) -> HashSet<&str> {
    let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut entered = HashSet::new();
    for edge in flow::edges(document) {
        if let (Some(source), Some(target), Some(EXEC_IN)) = (
            flow::text(edge, "source"),
            flow::text(edge, "target"),
            flow::text(edge, "targetHandle"),
        ) {
            next.entry(source).or_default().push(target);
            entered.insert(target);
        }
    }
    let mut open: Vec<&str> = entry(document, &next, &entered)
        .into_iter()
        .chain(listener_nodes(document))
        .collect();
    let mut reached = HashSet::new();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(next.get(node).into_iter().flatten());
        }
    }
    reached
}

/// The node execution starts at: the named one if it executes, else the first executing node nothing
/// leads to, else the first executing one.
fn entry<'a>(
    document: &'a Object,
    next: &HashMap<&str, Vec<&str>>,
    entered: &HashSet<&str>,
) -> Option<&'a str> {
    let executes = |node: &&'a Object| {
        flow::node_id(node).is_some_and(|id| next.contains_key(id) || entered.contains(id))
            || flow::subflow_target(node).is_some()
            || has_exec_pin(node)
    };
    let named = flow::text(document, "entryNode");
    let ids = || flow::nodes(document).filter(executes).filter_map(flow::node_id);
    ids()
        .find(|id| named == Some(id))
        .or_else(|| ids().find(|id| !entered.contains(id)))
        .or_else(|| ids().next())
}

fn has_exec_pin(node: &Object) -> bool {
    let Some(data) = flow::data(node) else {
        return false;
    };
    ["inputs", "outputs"]
        .into_iter()
        .flat_map(|side| flow::objects(data.get(side)))
        .any(|pin| flow::text(pin, "type") == Some("execution"))
}

#[cfg(test)]
mod tests;
