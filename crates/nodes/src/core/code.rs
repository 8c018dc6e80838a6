//! `code`: a Python function of the author, run in the host's sandbox.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "code",
        title: "Code",
        family: "core",
        doc: "Runs a small Python function on its inputs.",
        inputs: &[pin("input", "any"), pin("permissions", "string")],
        outputs: &[
            pin("output", "any"),
            pin("success", "boolean"),
            pin("execution", "object"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let data = &inputs.config.data;
    let pins = inputs
        .config
        .inputs
        .iter()
        .flatten()
        .map(|pin| pin.id.as_str())
        .filter(|pin| *pin != "permissions");
    let mut input = inputs.values.clone();
    let permissions = input.shift_remove("permissions").as_ref().and_then(opt_str);
    let mut args = Object::new();
    for (key, source) in [("code_body", "codeBody"), ("code", "code")] {
        if let Some(text) = data.get(source).filter(|text| text.is_string()) {
            args.insert(key.to_owned(), text.clone());
        }
    }
    args.insert("function_name".to_owned(), function_name(inputs.config).into());
    args.insert("pins".to_owned(), pins.collect::<Vec<_>>().into());
    args.insert("input".to_owned(), Value::Object(input));
    args.insert(
        "permissions".to_owned(),
        permissions
            .map_or("sandbox".into(), |name| name.to_lowercase())
            .into(),
    );
    let answer = ask(ctx.env, HostOp::RunCode, ctx.node_id, Value::Object(args))?;
    let value = super::sandbox::value(&answer)?;
    let execution = answer.get("execution").cloned().unwrap_or_default();
    let mut stored = value.as_object().cloned().unwrap_or_default();
    stored.insert("success".to_owned(), true.into());
    stored.insert("output".to_owned(), value.clone());
    stored.insert("result".to_owned(), value.clone());
    stored.insert("execution".to_owned(), execution);
    Ok(FunctionResult {
        stored: Some(Value::Object(stored)),
        ..FunctionResult::of(value)
    })
}

/// The configured function name if it is a name at all.
pub(super) fn function_name(config: &NodeConfig) -> &str {
    let valid = |name: &&str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    config
        .data
        .get("functionName")
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(valid)
        .unwrap_or("transform")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, function_with};

    #[test]
    fn the_record_holds_the_keys_of_the_result() {
        let answer = Answer::ok(json!({"ok": true, "value": {"r": 1}, "execution": {"duration_ms": 2}}));
        let result = function_with(
            &NODE,
            json!({"codeBody": "return 1", "inputs": ["a"]}),
            json!({"a": 1}),
            answer,
        );
        let result = result.expect("runs");
        assert_eq!(result.value, json!({"r": 1}));
        let record = json!({"r": 1, "success": true, "output": {"r": 1}, "result": {"r": 1}, "execution": {"duration_ms": 2}});
        assert_eq!(result.stored, Some(record));
    }

    #[test]
    fn a_failure_carries_its_record() {
        let answer = Answer::ok(json!({"ok": false, "error": "Imports are not allowed", "execution": null}));
        let error = function_with(&NODE, json!({"code": "import os"}), json!({}), answer).expect_err("fails");
        assert_eq!(
            error.interrupt,
            Exception::runtime("Imports are not allowed").into()
        );
        let record = error.record.expect("record");
        assert_eq!(record["error"], "Imports are not allowed");
        assert_eq!(record["result"], Value::Null);
    }

    #[test]
    fn a_value_json_cannot_hold_has_the_text_that_fails_the_run() {
        let answer = Answer::ok(json!({"ok": false, "unserialisable": "set"}));
        let error = function_with(&NODE, json!({"code": ""}), json!({}), answer).expect_err("fails");
        assert_eq!(
            error.interrupt,
            Exception::type_error("Object of type set is not JSON serializable").into()
        );
        assert_eq!(error.record, None);
    }
}
