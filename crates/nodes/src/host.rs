//! Questions to the host of a step.

use ag_kernel::{HostCall, HostOp, Interrupt, StepEnv};
use serde_json::Value;

/// The answer to a question, or the interrupt that asks it.
///
/// # Errors
/// The interrupt while unanswered; the exception the host answered with.
pub(crate) fn ask(env: &StepEnv<'_>, op: HostOp, node_id: &str, args: Value) -> Result<Value, Interrupt> {
    env.ask(HostCall {
        op,
        node_id: node_id.to_owned(),
        args,
    })
}
