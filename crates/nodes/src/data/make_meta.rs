//! `make_meta`: A meta object in the form that agents report.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "make_meta",
        title: "Make Meta",
        family: "data",
        doc: "A meta object in the form that agents report.",
        inputs: &[
            pin("schema", "string"),
            pin("version", "number"),
            pin("output_mode", "string"),
            pin("provider", "provider_text"),
            pin("model", "model"),
            pin("sub_run_id", "string"),
            pin("iterations", "number"),
            pin("tool_calls", "number"),
            pin("tool_results", "number"),
            pin("finish_reason", "string"),
            pin("gen_time", "number"),
            pin("ttft_ms", "number"),
            pin("usage", "object"),
            pin("trace", "object"),
            pin("warnings", "array"),
            pin("debug", "object"),
            pin("extra", "object"),
        ],
        outputs: &[pin("meta", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut meta = Object::new();
    let text = |pin| {
        inputs
            .non_null(pin)
            .map(pystr)
            .map(|text| strip_py(&text).to_owned())
            .filter(|t| !t.is_empty())
    };
    let schema = text("schema").unwrap_or_else(|| "abstractcode.agent.v1.meta".to_owned());
    meta.insert("schema".to_owned(), schema.into());
    meta.insert(
        "version".to_owned(),
        opt_i64(inputs, "version").unwrap_or(1).into(),
    );
    for pin in ["output_mode", "provider", "model", "sub_run_id", "finish_reason"] {
        meta.extend(text(pin).map(|text| (pin.to_owned(), text.into())));
    }
    for pin in ["iterations", "tool_calls", "tool_results"] {
        meta.extend(opt_i64(inputs, pin).map(|count| (pin.to_owned(), count.into())));
    }
    for pin in ["gen_time", "ttft_ms"] {
        meta.extend(
            inputs
                .get(pin)
                .filter(|time| time.is_number())
                .map(|time| (pin.to_owned(), time.clone())),
        );
    }
    meta.extend(object(inputs, "usage").map(|usage| ("usage".to_owned(), usage.into())));
    meta.extend(trace(inputs).map(|trace| ("trace".to_owned(), trace.into())));
    let warnings = warnings(inputs.get("warnings"));
    if !warnings.is_empty() {
        meta.insert("warnings".to_owned(), warnings.into());
    }
    meta.extend(
        inputs
            .non_null("debug")
            .map(|debug| ("debug".to_owned(), debug.clone())),
    );
    for (key, value) in object(inputs, "extra").unwrap_or_default() {
        meta.entry(key).or_insert(value);
    }
    Ok(one("meta", Value::Object(meta)))
}

fn object(inputs: &Inputs<'_>, pin: &str) -> Option<Object> {
    inputs
        .get(pin)
        .and_then(Value::as_object)
        .filter(|object| !object.is_empty())
        .cloned()
}

/// The trace object; a text is the id of a trace.
fn trace(inputs: &Inputs<'_>) -> Option<Object> {
    let mut trace = object(inputs, "trace").unwrap_or_default();
    if let Some(id) = opt_text(inputs, "trace_id").or_else(|| opt_text(inputs, "trace")) {
        trace.insert("trace_id".to_owned(), id.into());
    }
    (!trace.is_empty()).then_some(trace)
}

/// Texts of a list of warnings; a single text is a list of one.
fn warnings(value: Option<&Value>) -> Vec<String> {
    let Value::Array(items) = super::list(value) else {
        return Vec::new();
    };
    let texts = items
        .iter()
        .filter(|item| !item.is_null())
        .map(|item| strip_py(&pystr(item)).to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}
