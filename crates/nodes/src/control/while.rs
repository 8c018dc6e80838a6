//! `while`: runs its branch as long as a condition holds.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "while",
        title: "While",
        family: "control",
        doc: "Runs its branch as long as a condition holds.",
        inputs: &[pin("condition", "boolean")],
        outputs: &[pin("item", "any"), pin("index", "number")],
        ..EFFECT
    },
    behaviour: Behaviour::Control(ControlKind::While),
};
