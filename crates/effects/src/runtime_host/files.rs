//! File nodes.

use ag_kernel::HostOp;
use ag_tools::{file_ops::nodes, workspace::WorkspacePolicy};
use ag_types::Object;
use serde_json::Value;

use super::{node_type, text};
use crate::attachments::pdf;

/// Answers a question about a file; blocks.
pub(super) fn answer(op: HostOp, policy: &WorkspacePolicy, args: &Value) -> Result<Object, String> {
    let value = |key: &str| args.get(key).unwrap_or(&Value::Null);
    match op {
        HostOp::ReadFile => nodes::read_file(policy, value("file_path")),
        HostOp::WriteFile => nodes::write_file(policy, value("file_path"), value("content")),
        HostOp::ListFolder => nodes::list_folder_files(policy, args.as_object().unwrap_or(&Object::new())),
        HostOp::ReadPdf => Err(read_pdf(policy, args)),
        _ => Err(write_pdf(policy, args)),
    }
}

/// The first thing that is wrong: the path, the file, or that this build cannot read PDF files.
fn read_pdf(policy: &WorkspacePolicy, args: &Value) -> String {
    let path = match policy.resolve(text(args, "file_path")) {
        Ok(path) => path,
        Err(error) => return error.node_text(node_type(args)),
    };
    let shown = policy.virtual_path(&path);
    match std::fs::metadata(&path) {
        Err(_) => format!("File not found: {shown}"),
        Ok(found) if !found.is_file() => format!("Not a file: {shown}"),
        Ok(_) => format!("read_pdf: {}", pdf::NOT_AVAILABLE),
    }
}

fn write_pdf(policy: &WorkspacePolicy, args: &Value) -> String {
    match policy.resolve(text(args, "file_path")) {
        Ok(_) => "write_pdf: PDF rendering is not available".to_owned(),
        Err(error) => error.node_text(node_type(args)),
    }
}
