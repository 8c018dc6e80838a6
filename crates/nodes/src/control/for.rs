//! `for`: runs its branch once for each number of a range.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "for",
        title: "For",
        family: "control",
        doc: "Runs its branch once for each number of a range.",
        inputs: &[
            pin("start", "number"),
            pin("end", "number"),
            pin("step", "number"),
        ],
        outputs: &[pin("i", "number"), pin("index", "number")],
        ..EFFECT
    },
    behaviour: Behaviour::Control(ControlKind::For),
};
