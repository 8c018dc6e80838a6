//! `json_schema`: A fixed JSON schema.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "json_schema",
        title: "JSON Schema",
        family: "literals",
        doc: "A fixed JSON schema.",
        inputs: &[],
        outputs: &[pin("value", "json_schema")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
