//! `literal_number`: A fixed number.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "literal_number",
        title: "Number",
        family: "literals",
        doc: "A fixed number.",
        inputs: &[],
        outputs: &[pin("value", "number")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
