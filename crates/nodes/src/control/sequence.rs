//! `sequence`: runs its branches one after the other.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "sequence",
        title: "Sequence",
        family: "control",
        doc: "Runs its branches one after the other.",
        inputs: &[],
        outputs: &[],
        ..EFFECT
    },
    behaviour: Behaviour::Control(ControlKind::Sequence),
};
