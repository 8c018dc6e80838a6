//! `loop`: runs its branch once for each item of a list.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "loop",
        title: "ForEach",
        family: "control",
        doc: "Runs its branch once for each item of a list.",
        inputs: &[pin("items", "array")],
        outputs: &[pin("item", "any"), pin("index", "number")],
        ..EFFECT
    },
    behaviour: Behaviour::Control(ControlKind::Loop),
};
