//! What a node asked, as outputs beside the answer.
//!
//! Flows read the question of `ask_user` or the key of `wait_event` from the node that asked. The answer does not
//! repeat them, so the node keeps what its edges read under `_temp.asked.<node>` until it asks again.

use ag_kernel::vars;
use ag_types::Object;
use ag_visualflow::node::{NodeCtx, OutputCtx};
use serde_json::Value;

/// Keeps those values that an edge reads.
pub(crate) fn remember<const N: usize>(ctx: &mut NodeCtx<'_>, values: [(&str, Value); N]) {
    let read: Object = values
        .into_iter()
        .filter(|(pin, _)| (ctx.reads_output)(pin))
        .map(|(pin, value)| (pin.to_owned(), value))
        .collect();
    if !read.is_empty() {
        vars::object_at(ctx.vars, "_temp.asked").insert(ctx.node_id.to_owned(), Value::Object(read));
    }
}

/// What [`remember`] kept.
pub(crate) fn recall(node: &OutputCtx<'_>) -> Object {
    let asked = vars::get_path(node.vars, "_temp.asked").and_then(|asked| asked.get(node.node_id));
    asked.and_then(Value::as_object).cloned().unwrap_or_default()
}
