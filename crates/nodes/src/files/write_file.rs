//! `write_file`: a file of the workspace.

use super::request::{Request, path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "write_file",
        title: "Write File",
        family: "files",
        doc: "Writes a text or JSON file of the workspace.",
        inputs: &[pin("file_path", "workspace_file"), pin("content", "any")],
        outputs: &[pin("bytes", "number"), pin("file_path", "workspace_file")],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("write_file")
        .text("file_path", path(inputs, "write_file", "file_path")?)
        .value("content", inputs.get("content"))
        .ask(HostOp::WriteFile, inputs, ctx)
}
