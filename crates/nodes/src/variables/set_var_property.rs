//! `set_var_property`: writes one key of an object variable.

use super::names;
use crate::{paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "set_var_property",
        title: "Set Variable Property",
        family: "variables",
        doc: "Writes a key of an object variable; the pipeline value stays as it is.",
        inputs: &[pin("name", "string"), pin("key", "string"), pin("value", "any")],
        outputs: &[pin("value", "object")],
        ..STRICT_FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let name = names::required(
        inputs.non_null("name"),
        "Set Variable Property requires a non-empty variable name.",
    )?;
    let Some(key) = inputs
        .non_null("key")
        .map(pystr)
        .map(|key| key.trim().to_owned())
        .filter(|key| !key.is_empty())
    else {
        return Err(Exception::value("Set Variable Property requires a non-empty key.").into());
    };
    let mut object = vars::get_path(ctx.vars, &name)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    paths::write(
        &mut object,
        &key,
        inputs.get("value").cloned().unwrap_or_default(),
    );
    vars::set_path(ctx.vars, &name, Value::Object(object.clone()));
    Ok(names::kept(ctx, one("value", Value::Object(object))))
}
