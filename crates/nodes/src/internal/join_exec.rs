//! `join_exec`: merges execution paths; the compiler inserts it where a node has several predecessors.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "join_exec",
        title: "Join Exec",
        family: "internal",
        doc: "Merges execution paths; the compiler inserts it where a node has several predecessors.",
        inputs: &[],
        outputs: &[
            pin("which", "number"),
            pin("from", "string"),
            pin("from_handle", "string"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Join,
};
