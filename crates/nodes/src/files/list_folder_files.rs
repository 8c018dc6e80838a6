//! `list_folder_files`: what a folder of the workspace holds.

use super::request::{Request, path};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "list_folder_files",
        title: "List Folder Files",
        family: "files",
        doc: "Lists files of a workspace folder, optionally with its subfolders.",
        inputs: &[
            pin("folder_path", "workspace_folder"),
            pin("recursive", "boolean"),
            pin("family", "string"),
            pin("extensions", "array"),
            pin("include_directories", "boolean"),
            pin("limit", "number"),
            pin("max_depth", "number"),
        ],
        outputs: &[
            pin("folder_path", "workspace_folder"),
            pin("files", "array"),
            pin("entries", "array"),
            pin("count", "number"),
            pin("truncated", "boolean"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

/// Most entries an author may ask for, and the number without asking.
const MAX_LIMIT: i64 = 5000;
const DEFAULT_LIMIT: i64 = 500;

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let family = opt_text(inputs, "family").map_or("any".to_owned(), |family| family.to_lowercase());
    Request::new("list_folder_files")
        .text("folder_path", path(inputs, "list_folder_files", "folder_path")?)
        .flag("recursive", flag(inputs, "recursive", false))
        .text("family", family)
        .value("extensions", Some(&extensions(inputs.get("extensions")).into()))
        .flag("include_directories", flag(inputs, "include_directories", false))
        .number(
            "limit",
            Some(
                opt_i64(inputs, "limit")
                    .unwrap_or(DEFAULT_LIMIT)
                    .clamp(1, MAX_LIMIT),
            ),
        )
        .number(
            "max_depth",
            Some(opt_i64(inputs, "max_depth").unwrap_or(0).max(0)),
        )
        .ask(HostOp::ListFolder, inputs, ctx)
}

/// Lower-case extensions without their dot, from a list or from text with commas or line breaks.
fn extensions(value: Option<&Value>) -> Vec<String> {
    let texts: Vec<String> = match value {
        Some(Value::Array(items)) => items.iter().filter_map(opt_str).collect(),
        Some(Value::String(text)) => text.split([',', '\n']).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let trimmed = texts
        .iter()
        .map(|text| text.trim().trim_start_matches(['*', '.']).to_lowercase());
    trimmed.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_have_one_form() {
        for value in [json!([".MD", "*.py", ""]), json!("md, .py\n"), json!("*.md\nPY")] {
            assert_eq!(extensions(Some(&value)), ["md", "py"], "{value}");
        }
    }
}
