//! `function`: code or an expression without an editor template; identity without either.

use super::code::function_name;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "function",
        title: "Function",
        family: "core",
        doc: "Runs a Python function or expression on its inputs; without one it passes them on.",
        inputs: &[],
        outputs: &[],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let text = |key: &str| {
        inputs
            .config
            .data
            .get(key)
            .filter(|text| text.as_str().is_some_and(|t| !t.is_empty()))
    };
    let input = inputs
        .raw
        .clone()
        .unwrap_or_else(|| Value::Object(inputs.values.clone()));
    if let Some(code) = text("code") {
        let args = json!({
            "code": code,
            "function_name": function_name(inputs.config),
            "pins": [],
            "input": input,
            "permissions": "sandbox",
        });
        let answer = ask(ctx.env, HostOp::RunCode, ctx.node_id, args)?;
        return Ok(FunctionResult::of(super::sandbox::value(&answer)?));
    }
    let Some(expression) = text("expression") else {
        return Ok(FunctionResult::of(input));
    };
    let args = json!({"expression": expression, "input": input});
    let value = match ask(ctx.env, HostOp::RunExpression, ctx.node_id, args) {
        Ok(answer) => match super::sandbox::enveloped(&answer) {
            Some(Ok(value)) => value,
            Some(Err(error)) => one("error", error.into()),
            None => answer,
        },
        // A failing expression is a result, unlike failing code.
        Err(Interrupt::Raise(error)) => one("error", error.message.into()),
        Err(question) => return Err(question.into()),
    };
    Ok(FunctionResult::of(value))
}
