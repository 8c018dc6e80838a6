//! `on_flow_end`: end of a flow: the run completes with one field per input.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_flow_end",
        title: "On Flow End",
        family: "events",
        doc: "End of a flow: the run completes with one field per input.",
        inputs: &[],
        outputs: &[],
        ..FUNCTION
    },
    behaviour: Behaviour::End,
};
