//! `literal_array`: A fixed list.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "literal_array",
        title: "Assertions",
        family: "literals",
        doc: "A fixed list.",
        inputs: &[],
        outputs: &[pin("value", "assertions")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
