//! `read_file`: a file of the workspace.

use super::request::{Request, path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "read_file",
        title: "Read File",
        family: "files",
        doc: "Reads a text or JSON file of the workspace.",
        inputs: &[pin("file_path", "workspace_file")],
        outputs: &[pin("content", "any"), pin("file_path", "workspace_file")],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("read_file")
        .text("file_path", path(inputs, "read_file", "file_path")?)
        .ask(HostOp::ReadFile, inputs, ctx)
}
