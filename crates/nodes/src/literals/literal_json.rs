//! `literal_json`: A fixed JSON value; also memory settings, assertions and artifact references.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "literal_json",
        title: "JSON",
        family: "literals",
        doc: "A fixed JSON value; also memory settings, assertions and artifact references.",
        inputs: &[],
        outputs: &[pin("value", "object")],
        ..PURE
    },
    behaviour: Behaviour::Literal,
};
