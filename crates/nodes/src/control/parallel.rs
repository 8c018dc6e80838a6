//! `parallel`: runs its branches one after the other, then its completed branch.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "parallel",
        title: "Parallel",
        family: "control",
        doc: "Runs its branches one after the other, then its completed branch.",
        inputs: &[],
        outputs: &[],
        ..EFFECT
    },
    behaviour: Behaviour::Control(ControlKind::Parallel),
};
