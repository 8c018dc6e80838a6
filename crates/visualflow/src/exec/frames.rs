//! The control stack `_temp._control = {stack, frames, return_to}` (spec §6.1).

use ag_types::Object;
use serde_json::Value;

use super::state::{put, section, temp, temp_mut};

fn control(vars: &Object) -> Option<&Object> {
    temp(vars)?.get("_control")?.as_object()
}

fn control_mut(vars: &mut Object) -> &mut Object {
    section(temp_mut(vars), "_control")
}

fn stack_mut(vars: &mut Object) -> &mut Vec<Value> {
    let control = control_mut(vars);
    if !control.get("stack").is_some_and(Value::is_array) {
        put(control, "stack", Value::Array(Vec::new()));
    }
    match control.get_mut("stack") {
        Some(Value::Array(stack)) => stack,
        _ => unreachable!("made an array above"),
    }
}

/// The active control node.
pub(super) fn top(vars: &Object) -> Option<&str> {
    control(vars)?.get("stack")?.as_array()?.last()?.as_str()
}

/// Puts a node on top of the stack unless it is there.
pub(super) fn push(vars: &mut Object, node: &str) {
    if top(vars) != Some(node) {
        stack_mut(vars).push(node.into());
    }
}

/// Takes a finished node off the stack with its frame. A node that is not on top loses all its entries.
pub(super) fn finish(vars: &mut Object, node: &str) {
    section(control_mut(vars), "frames").shift_remove(node);
    let stack = stack_mut(vars);
    if stack.last().and_then(Value::as_str) == Some(node) {
        stack.pop();
    } else {
        stack.retain(|entry| entry.as_str() != Some(node));
    }
}

/// True if the cursor comes back to this node at the end of a branch.
pub(super) fn is_return(vars: &Object, node: &str) -> bool {
    control(vars)
        .and_then(|control| control.get("return_to"))
        .and_then(Value::as_str)
        == Some(node)
}

/// Marks the next visit of a control node as a return.
pub(super) fn set_return(vars: &mut Object, node: &str) {
    put(control_mut(vars), "return_to", node.into());
}

/// Consumes the mark.
pub(super) fn clear_return(vars: &mut Object) {
    if control(vars).is_some_and(|control| control.contains_key("return_to")) {
        control_mut(vars).shift_remove("return_to");
    }
}

/// The frame of a node, if it is of this kind.
pub(super) fn frame<'v>(vars: &'v Object, node: &str, kind: &str) -> Option<&'v Object> {
    let frame = control(vars)?.get("frames")?.get(node)?.as_object()?;
    (frame.get("kind").and_then(Value::as_str) == Some(kind)).then_some(frame)
}

/// The frame of a node, made if missing.
pub(super) fn frame_mut<'v>(vars: &'v mut Object, node: &str) -> &'v mut Object {
    section(section(control_mut(vars), "frames"), node)
}

/// Replaces the frame of a node.
pub(super) fn set_frame(vars: &mut Object, node: &str, frame: Object) {
    put(section(control_mut(vars), "frames"), node, Value::Object(frame));
}

/// An index kept in a frame.
pub(super) fn index(frame: &Object, key: &str) -> usize {
    frame
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|index| usize::try_from(index).ok())
        .unwrap_or(0)
}
