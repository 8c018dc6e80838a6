//! Events: entries of a flow, waits, schedules and messages between runs.

mod emit_event;
mod on_agent_message;
mod on_event;
mod on_flow_end;
mod on_flow_start;
mod on_schedule;
mod on_user_request;
mod scope;
mod system_datetime;
mod wait_event;
mod wait_until;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    on_flow_start::NODE,
    on_flow_end::NODE,
    on_user_request::NODE,
    on_agent_message::NODE,
    system_datetime::NODE,
    on_schedule::NODE,
    on_event::NODE,
    wait_event::NODE,
    emit_event::NODE,
    wait_until::NODE,
];

#[cfg(test)]
mod tests;
