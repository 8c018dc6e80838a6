//! Rules shared by the nodes that write variables.

use crate::prelude::*;

/// A variable name from a pin.
///
/// # Errors
/// `empty` for a missing or blank name; the reserved-name error for names that begin with `_`.
pub(super) fn required(name: Option<&Value>, empty: &str) -> Result<String, Exception> {
    checked(&name.map(pystr).unwrap_or_default(), empty)
}

/// A variable name from text; see [`required`].
pub(super) fn checked(name: &str, empty: &str) -> Result<String, Exception> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Exception::value(empty));
    }
    if name.starts_with('_') {
        let text = format!("Invalid variable name '{name}': names starting with '_' are reserved.");
        return Err(Exception::value(text));
    }
    Ok(name.to_owned())
}

/// A result that leaves the pipeline value alone and shows it when the run ends here.
pub(super) fn kept(ctx: &NodeCtx<'_>, value: Value) -> FunctionResult {
    let terminal = ctx
        .next
        .is_none()
        .then(|| json!({"success": true, "result": ctx.vars.get("_last_output").unwrap_or(&Value::Null)}));
    FunctionResult {
        value,
        keep_last: true,
        terminal,
        ..FunctionResult::default()
    }
}
