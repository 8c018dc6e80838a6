//! `split`: splits text at a delimiter; parts are trimmed and empty ones dropped unless told otherwise.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "split",
        title: "Split",
        family: "text",
        doc: "Splits text at a delimiter; parts are trimmed and empty ones dropped unless told otherwise.",
        inputs: &[pin("text", "string"), pin("delimiter", "string")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let text = text_or_blank(inputs, "text");
    let delimiter = inputs
        .non_null("delimiter")
        .map_or(",".into(), |value| unescape(&pystr(value)));
    let (trim, drop_empty) = (flag(inputs, "trim", true), flag(inputs, "drop_empty", true));
    let limit = opt_i64(inputs, "maxsplit")
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    let parts: Vec<&str> = match (delimiter.is_empty(), limit) {
        (true, _) => vec![&text],
        (false, Some(limit)) => text.splitn(limit.saturating_add(1), delimiter.as_str()).collect(),
        (false, None) => text.split(delimiter.as_str()).collect(),
    };
    let parts = parts
        .into_iter()
        .map(|part| if trim { strip_py(part) } else { part });
    Ok(result(
        parts
            .filter(|part| !drop_empty || !part.is_empty())
            .map(Value::from)
            .collect::<Vec<_>>(),
    ))
}
