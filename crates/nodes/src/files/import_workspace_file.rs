//! `import_workspace_file`: a file of the workspace as an artifact.

use super::request::{Request, path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "import_workspace_file",
        title: "Import Server File",
        family: "files",
        doc: "Stores a file of the workspace as an artifact.",
        inputs: &[pin("file_path", "workspace_file"), pin("content_type", "string")],
        outputs: &[
            pin("artifact", "artifact"),
            pin("artifact_ref", "artifact"),
            pin("artifact_id", "string"),
            pin("content_type", "string"),
            pin("size_bytes", "number"),
            pin("source_path", "workspace_file"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("import_workspace_file")
        .text("file_path", path(inputs, "import_workspace_file", "file_path")?)
        .value(
            "content_type",
            opt_text(inputs, "content_type").map(Value::from).as_ref(),
        )
        .ask(HostOp::ImportFile, inputs, ctx)
}
