//! `export_artifact`: an artifact as a file of the workspace.

use super::request::{Request, artifact_id, path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "export_artifact",
        title: "Export Artifact",
        family: "files",
        doc: "Writes the bytes of an artifact to a file of the workspace.",
        inputs: &[pin("artifact", "artifact"), pin("file_path", "workspace_file")],
        outputs: &[
            pin("artifact_id", "string"),
            pin("file_path", "workspace_file"),
            pin("bytes", "number"),
            pin("sha256", "string"),
            pin("content_type", "string"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("export_artifact")
        .text("artifact_id", artifact_id(inputs, "export_artifact")?)
        .value("artifact", inputs.get("artifact"))
        .text("file_path", path(inputs, "export_artifact", "file_path")?)
        .ask(HostOp::ExportArtifact, inputs, ctx)
}
