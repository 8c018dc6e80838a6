//! Models, agents, tools, people, code and child flows.

mod add_message;
mod agent;
mod answer_user;
mod ask_user;
mod call_tool;
mod calls;
mod child_vars;
mod code;
mod function;
mod llm_call;
mod llm_shared;
mod model_residency;
mod sandbox;
mod subflow;
mod tool_calls;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    agent::NODE,
    subflow::NODE,
    llm_call::NODE,
    model_residency::NODE,
    tool_calls::NODE,
    call_tool::NODE,
    ask_user::NODE,
    answer_user::NODE,
    code::NODE,
    function::NODE,
    add_message::NODE,
];

#[cfg(test)]
mod tests;
