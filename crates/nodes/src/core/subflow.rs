//! `subflow`: another flow as a child run.

use super::child_vars;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "subflow",
        title: "Subflow",
        family: "core",
        doc: "Runs another flow as a child run and waits for its output.",
        inputs: &[pin("inherit_context", "boolean"), pin("input", "object")],
        outputs: &[pin("output", "object")],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

/// Names under which flows store the id of the child flow.
const ID_KEYS: [&str; 4] = ["subflowId", "flowId", "workflowId", "workflow_id"];

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let workflow = ID_KEYS
        .iter()
        .find_map(|key| inputs.config.data.get(*key).and_then(opt_str));
    if child_vars::inherits(inputs) {
        vars::ensure_sections(ctx.vars);
    }
    let mut payload = payload(EffectKind::StartSubworkflow);
    payload.insert("workflow_id".to_owned(), workflow.unwrap_or_default().into());
    payload.insert(
        "vars".to_owned(),
        Value::Object(child_vars::build(inputs, ctx.vars)),
    );
    payload.insert("async".to_owned(), true.into());
    payload.insert("wait".to_owned(), true.into());
    payload.extend(child_vars::session(inputs).map(|session| ("session_id".to_owned(), session.into())));
    Ok(effect(EffectKind::StartSubworkflow, payload))
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let child = raw.get("output").unwrap_or(&Value::Null);
    let value = child.get("result").unwrap_or(child);
    let mut outputs = Object::new();
    outputs.insert(
        "sub_run_id".to_owned(),
        raw.get("sub_run_id").cloned().unwrap_or_default(),
    );
    outputs.insert("child_output".to_owned(), child.clone());
    outputs.insert("output".to_owned(), value.clone());
    let pins: Vec<_> = node
        .config
        .outputs
        .iter()
        .flatten()
        .filter(|pin| pin.id != "output")
        .collect();
    match value {
        // A declared pin takes the field of the child even where the field is missing.
        Value::Object(fields) => outputs.extend(
            pins.iter()
                .map(|pin| (pin.id.clone(), fields.get(&pin.id).cloned().unwrap_or_default())),
        ),
        Value::Null => {}
        scalar => {
            if let [pin] = pins.as_slice() {
                outputs.insert(pin.id.clone(), scalar.clone());
            }
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mapped;

    #[test]
    fn declared_pins_take_the_fields_of_the_child() {
        let config = json!({"outputs": ["r", "child_output", "output"]});
        let raw = json!({"sub_run_id": "c", "output": {"r": 7.0, "success": true}});
        let outputs = mapped(&NODE, config, json!({}), raw);
        assert_eq!(
            outputs,
            json!({"sub_run_id": "c", "child_output": null, "output": {"r": 7.0, "success": true}, "r": 7.0})
        );
    }

    #[test]
    fn a_failed_child_leaves_the_pins_empty() {
        let raw = json!({"sub_run_id": "c", "output": {"result": null, "success": false, "error": "x"}});
        let outputs = mapped(&NODE, json!({"outputs": ["r"]}), json!({}), raw);
        assert_eq!(outputs.get("r"), None);
        assert_eq!(outputs["output"], Value::Null);
        assert_eq!(outputs["child_output"]["error"], "x");
    }
}
