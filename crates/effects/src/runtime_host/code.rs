//! Code and expressions.

use ag_kernel::Exception;
use ag_sandbox::{CodeOutcome, CodeRequest, ExpressionRequest, effective_function_name, wrap_body};
use serde_json::{Value, json};

use super::{HostParts, text};

/// `{code_body | code, function_name, pins, input, permissions}` → `{ok, value | error | unserialisable, execution}`.
pub(super) async fn run(parts: &HostParts, args: &Value) -> Result<Value, Exception> {
    let function = effective_function_name(text(args, "function_name")).to_owned();
    let source = match args.get("code_body").and_then(Value::as_str) {
        Some(body) => {
            let pins = args.get("pins").and_then(Value::as_array);
            wrap_body(
                body,
                &function,
                pins.into_iter().flatten().filter_map(Value::as_str),
            )
        }
        None => text(args, "code").to_owned(),
    };
    let permissions = text(args, "permissions").to_owned();
    let (sandbox, limits) = (parts.sandbox.clone(), parts.limits);
    let input = args.get("input").cloned().unwrap_or_else(|| json!({}));
    let outcome = blocking(move || {
        sandbox.run(CodeRequest {
            source: &source,
            function_name: &function,
            input: &input,
            permissions: &permissions,
            limits,
        })
    })
    .await?;
    let execution = serde_json::to_value(outcome.stats()).unwrap_or_default();
    Ok(match outcome {
        CodeOutcome::Ok { value, .. } => json!({"ok": true, "value": value, "execution": execution}),
        CodeOutcome::Failed { error, .. } => json!({"ok": false, "error": error, "execution": execution}),
        CodeOutcome::Unserialisable { type_name, .. } => {
            json!({"ok": false, "unserialisable": type_name, "execution": execution})
        }
    })
}

/// `{expression, input}` → `{ok, value | error}`; always enveloped, so that no value can pass for an envelope.
pub(super) async fn evaluate(parts: &HostParts, args: &Value) -> Result<Value, Exception> {
    let expression = text(args, "expression").to_owned();
    let (sandbox, limits) = (parts.sandbox.clone(), parts.limits);
    let input = args.get("input").cloned().unwrap_or_else(|| json!({}));
    let outcome = blocking(move || {
        sandbox.evaluate(ExpressionRequest {
            expression: &expression,
            input: &input,
            limits,
        })
    })
    .await?;
    Ok(match outcome {
        CodeOutcome::Ok { value, .. } => json!({"ok": true, "value": value}),
        CodeOutcome::Failed { error, .. } | CodeOutcome::Unserialisable { error, .. } => {
            json!({"ok": false, "error": error})
        }
    })
}

async fn blocking(run: impl FnOnce() -> CodeOutcome + Send + 'static) -> Result<CodeOutcome, Exception> {
    let done = tokio::task::spawn_blocking(run).await;
    done.map_err(|error| Exception::runtime(format!("Code execution failed: {error}")))
}
