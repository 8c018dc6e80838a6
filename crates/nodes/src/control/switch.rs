//! `switch`: takes the branch whose case has the same text as the value, else the default branch.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "switch",
        title: "Switch",
        family: "control",
        doc: "Takes the branch whose case has the same text as the value, else the default branch.",
        inputs: &[pin("value", "string")],
        outputs: &[],
        ..FUNCTION
    },
    behaviour: Behaviour::Branch(choose),
};

fn choose(inputs: &Inputs<'_>, _ctx: &NodeCtx<'_>) -> Result<(String, Value), Interrupt> {
    let value = text_or_blank(inputs, "value");
    let cases = inputs
        .config
        .section("switchConfig", "cases")
        .and_then(Value::as_array);
    let matched = cases.into_iter().flatten().find_map(|case| {
        let id = case
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())?;
        let text = case.get("value").filter(|value| !value.is_null()).map(pystr)?;
        (text == value).then_some((id, text))
    });
    Ok(match matched {
        Some((id, text)) => {
            let handle = format!("case:{id}");
            let result = json!({"branch": handle, "value": value, "matched": text});
            (handle, result)
        }
        None => ("default".to_owned(), json!({"branch": "default", "value": value})),
    })
}
