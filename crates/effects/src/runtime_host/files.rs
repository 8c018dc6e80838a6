//! File nodes.

mod pdf;

use ag_kernel::HostOp;
use ag_tools::{file_ops::nodes, workspace::WorkspacePolicy};
use ag_types::{Object, Timestamp};
use serde_json::Value;

/// Answers a question about a file; blocks.
pub(super) fn answer(
    op: HostOp,
    policy: &WorkspacePolicy,
    args: &Value,
    now: Timestamp,
) -> Result<Object, String> {
    let value = |key: &str| args.get(key).unwrap_or(&Value::Null);
    match op {
        HostOp::ReadFile => nodes::read_file(policy, value("file_path")),
        HostOp::WriteFile => nodes::write_file(policy, value("file_path"), value("content")),
        HostOp::ListFolder => nodes::list_folder_files(policy, args.as_object().unwrap_or(&Object::new())),
        HostOp::ReadPdf => pdf::read(policy, args),
        _ => pdf::write(policy, args, now),
    }
}
