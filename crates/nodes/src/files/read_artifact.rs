//! `read_artifact`: content of an artifact.

use super::request::{Request, artifact_id};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "read_artifact",
        title: "Read Artifact",
        family: "files",
        doc: "Reads an artifact as JSON, text or base64.",
        inputs: &[pin("artifact", "artifact")],
        outputs: &[
            pin("artifact", "artifact"),
            pin("artifact_ref", "artifact"),
            pin("artifact_id", "string"),
            pin("content_type", "string"),
            pin("content_family", "string"),
            pin("size_bytes", "number"),
            pin("filename", "string"),
            pin("source_path", "string"),
            pin("content", "any"),
            pin("text", "string"),
            pin("json", "object"),
            pin("binary_base64", "string"),
            pin("is_binary", "boolean"),
            pin("warnings", "array"),
            pin("truncated", "boolean"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("read_artifact")
        .text("artifact_id", artifact_id(inputs, "read_artifact")?)
        .value("artifact", inputs.get("artifact"))
        .ask(HostOp::ReadArtifact, inputs, ctx)
}
