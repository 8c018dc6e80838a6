//! Ids of workflows at run time, and documents that use them.

use std::collections::HashSet;

use serde_json::Value;

use crate::flow::{self, Object, SUBFLOW_KEYS};

/// `<bundle_ref>:<flow_id>`, with `bundle_ref` = `id@version`.
#[must_use]
pub fn workflow_id(bundle_ref: &str, flow_id: &str) -> String {
    format!("{bundle_ref}:{flow_id}")
}

/// Id of the reasoning loop of an agent node. `workflow_id` is the id of the flow that contains it.
#[must_use]
pub fn agent_workflow_id(workflow_id: &str, node_id: &str) -> String {
    derived("visual_react_agent", workflow_id, node_id)
}

/// Id of the listener workflow of an `on_event` node. `workflow_id` is the id of the flow that contains it.
#[must_use]
pub fn listener_workflow_id(workflow_id: &str, node_id: &str) -> String {
    derived("visual_event_listener", workflow_id, node_id)
}

/// Every character outside `[a-zA-Z0-9_-]` becomes one underscore, so different nodes can share a
/// derived id; the ids are stored by runs and cannot be made safer.
fn derived(kind: &str, workflow_id: &str, node_id: &str) -> String {
    let mut id = String::with_capacity(kind.len() + workflow_id.len() + node_id.len() + 2);
    id.push_str(kind);
    for part in [workflow_id, node_id] {
        id.push('_');
        id.extend(part.chars().map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '_'
            }
        }));
    }
    id
}

/// The document as it is compiled and snapshotted: its `id` is the namespaced one, subflow references to
/// flows of the same bundle are namespaced, and agent nodes name their loop's workflow.
///
/// `siblings` are the bundle's flow ids (manifest keys). References to anything else are kept as they are.
#[must_use]
pub fn namespaced<'a>(
    document: &Object,
    bundle_ref: &str,
    flow_id: &str,
    siblings: impl IntoIterator<Item = &'a str>,
) -> Object {
    let own_id = workflow_id(bundle_ref, flow_id);
    let siblings: HashSet<&str> = siblings.into_iter().collect();
    let mut out = document.clone();
    for node in out
        .get_mut("nodes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(node) = node.as_object_mut() else {
            continue;
        };
        if flow::is_type(node, "subflow") {
            rewrite_subflow(node, bundle_ref, &siblings);
        } else if flow::is_type(node, "agent") {
            name_loop(node, &own_id);
        }
    }
    out.insert("id".to_owned(), Value::String(own_id));
    out
}

fn rewrite_subflow(node: &mut Object, bundle_ref: &str, siblings: &HashSet<&str>) {
    let Some(data) = node.get_mut("data").and_then(Value::as_object_mut) else {
        return;
    };
    for key in SUBFLOW_KEYS {
        if let Some(Value::String(target)) = data.get_mut(key)
            && siblings.contains(target.trim())
        {
            *target = workflow_id(bundle_ref, target.trim());
        }
    }
}

fn name_loop(node: &mut Object, own_id: &str) {
    let Some(loop_id) = flow::node_id(node).map(|node_id| agent_workflow_id(own_id, node_id)) else {
        return;
    };
    let data = object_at(node, "data");
    object_at(data, "agentConfig").insert("_react_workflow_id".to_owned(), Value::String(loop_id));
}

/// The object member `key`, put there if there is none.
fn object_at<'a>(parent: &'a mut Object, key: &str) -> &'a mut Object {
    let slot = parent.entry(key.to_owned()).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Object::new());
    }
    slot.as_object_mut().expect("the slot was just made an object")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn derived_ids_as_recorded() {
        let table = [
            (
                "vec-agent-delegated@1.0.0:main",
                "agent",
                "visual_react_agent_vec-agent-delegated_1_0_0_main_agent",
            ),
            (
                "vec-agent-context-carries-over@1.0.0:main",
                "a2",
                "visual_react_agent_vec-agent-context-carries-over_1_0_0_main_a2",
            ),
            ("b@1:ä b", "n.1", "visual_react_agent_b_1___b_n_1"),
        ];
        for (workflow, node, expected) in table {
            assert_eq!(agent_workflow_id(workflow, node), expected);
        }
        assert_eq!(
            listener_workflow_id("vec-event-wildcard-listener@1.0.0:main", "on"),
            "visual_event_listener_vec-event-wildcard-listener_1_0_0_main_on"
        );
    }

    #[test]
    fn documents_are_rewritten() {
        let document = json!({"id": "x", "name": "keep", "nodes": [
            {"id": "s1", "type": "subflow", "data": {"subflowId": "child", "flowId": "other@1:child", "workflow_id": " main "}},
            {"id": "s2", "type": {"value": "subflow"}, "data": {"workflowId": "ghost"}},
            {"id": "c", "type": "code", "data": {"subflowId": "child"}},
            {"id": "a.1", "type": "NodeType.AGENT", "data": {"agentConfig": {"tools": []}}},
            {"id": "a2", "type": "agent"},
            "junk", {"type": "agent"}
        ]});
        let out = namespaced(
            document.as_object().expect("object"),
            "b@1.0.0",
            "main",
            ["main", "child"],
        );
        let expected = json!({"id": "b@1.0.0:main", "name": "keep", "nodes": [
            {"id": "s1", "type": "subflow", "data": {"subflowId": "b@1.0.0:child", "flowId": "other@1:child", "workflow_id": "b@1.0.0:main"}},
            {"id": "s2", "type": {"value": "subflow"}, "data": {"workflowId": "ghost"}},
            {"id": "c", "type": "code", "data": {"subflowId": "child"}},
            {"id": "a.1", "type": "NodeType.AGENT", "data": {"agentConfig": {"tools": [], "_react_workflow_id": "visual_react_agent_b_1_0_0_main_a_1"}}},
            {"id": "a2", "type": "agent", "data": {"agentConfig": {"_react_workflow_id": "visual_react_agent_b_1_0_0_main_a2"}}},
            "junk", {"type": "agent"}
        ]});
        assert_eq!(Value::Object(out), expected);
    }
}
