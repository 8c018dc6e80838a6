//! `write_pdf`: a PDF file of the workspace.

use super::request::{Request, pdf_path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "write_pdf",
        title: "Write PDF",
        family: "files",
        doc: "Writes text as a PDF file of the workspace.",
        inputs: &[
            pin("file_path", "workspace_file"),
            pin("content", "any"),
            pin("title", "string"),
        ],
        outputs: &[
            pin("bytes", "number"),
            pin("file_path", "workspace_file"),
            pin("sha256", "string"),
            pin("content_type", "string"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    Request::new("write_pdf")
        .text("file_path", pdf_path(inputs, "write_pdf")?)
        .value("content", inputs.get("content"))
        .value("title", opt_text(inputs, "title").map(Value::from).as_ref())
        .ask(HostOp::WritePdf, inputs, ctx)
}
