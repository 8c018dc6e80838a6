//! `literal_boolean`: A fixed truth value.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "literal_boolean",
        title: "Boolean",
        family: "literals",
        doc: "A fixed truth value.",
        inputs: &[],
        outputs: &[pin("value", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
