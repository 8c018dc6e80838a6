//! `literal_string`: A fixed text.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "literal_string",
        title: "String",
        family: "literals",
        doc: "A fixed text.",
        inputs: &[],
        outputs: &[pin("value", "string")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
