//! `set`: an object with one key changed.

use crate::{paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "set",
        title: "Set Property",
        family: "data",
        doc: "A copy of an object with the value at a dotted key replaced.",
        inputs: &[pin("object", "object"), pin("key", "string"), pin("value", "any")],
        outputs: &[pin("result", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut object = match inputs.get("object") {
        None => Object::new(),
        Some(Value::Object(object)) => object.clone(),
        Some(other) => {
            let text = format!("'{}' object is not a mapping", ag_pyvalue::type_name(other));
            return Err(Exception::type_error(text).into());
        }
    };
    let key = text_or_blank(inputs, "key");
    paths::write(
        &mut object,
        &key,
        inputs.get("value").cloned().unwrap_or_default(),
    );
    Ok(result(object))
}
