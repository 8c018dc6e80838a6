//! `read_pdf`: the text of a PDF file of the workspace.

use super::request::{Request, pdf_path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "read_pdf",
        title: "Read PDF",
        family: "files",
        doc: "Reads the text of a PDF file of the workspace.",
        inputs: &[
            pin("file_path", "workspace_file"),
            pin("page_start", "number"),
            pin("page_end", "number"),
            pin("max_chars", "number"),
        ],
        outputs: &[
            pin("content", "string"),
            pin("pages", "number"),
            pin("processed_pages", "number"),
            pin("metadata", "object"),
            pin("warnings", "array"),
            pin("truncated", "boolean"),
            pin("file_path", "workspace_file"),
            pin("content_type", "string"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let mut request = Request::new("read_pdf").text("file_path", pdf_path(inputs, "read_pdf")?);
    for pin in ["page_start", "page_end", "max_chars"] {
        request = request.number(pin, opt_i64(inputs, pin));
    }
    request.ask(HostOp::ReadPdf, inputs, ctx)
}
