//! `path_mux`: chooses the value that belongs to the execution path taken; inserted by the compiler.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "path_mux",
        title: "Path Mux",
        family: "internal",
        doc: "Chooses the value that belongs to the execution path taken; inserted by the compiler.",
        inputs: &[
            pin("select", "number"),
            pin("in0", "any"),
            pin("in1", "any"),
            pin("fallback", "any"),
        ],
        outputs: &[pin("out", "any")],
        ..PURE
    },
    behaviour: Behaviour::Mux,
};
