//! `write_file`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool};
use crate::args::Args;
use crate::spec::ArgType::String as Text;
use crate::spec::{Arg, Example, ToolSpec};

pub(super) const TOOL: Tool = Tool {
    name: "write_file",
    spec,
    run: Run::Blocking(run),
};

fn spec() -> ToolSpec {
    ToolSpec {
        name: "write_file",
        description: "Create a text file or replace its content; missing folders are made. Mode `a` appends instead.",
        when_to_use: "For new files and complete rewrites. To change a part of a file use edit_file.",
        args: vec![
            Arg::required("file_path", Text, "Path of the file."),
            Arg::required("content", Text, "The complete text to write."),
            Arg::optional("mode", Text, "w", "`w` replaces, `a` appends."),
        ],
        examples: vec![Example {
            description: "Write a note",
            arguments: json!({"file_path": "notes/today.md", "content": "# Today\n\n- ship it\n"}),
        }],
        toolset: "files",
        tags: &["write"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let raw = args.text("file_path");
    let path = files.resolve(raw)?;
    let content = args.text("content");
    let append = match args.opt_text("mode").unwrap_or("w") {
        "w" => false,
        "a" => true,
        other => {
            return Err(format!(
                "Invalid mode '{other}': use 'w' to replace or 'a' to append"
            ));
        }
    };
    if path.is_dir() {
        return Err(format!("'{}' is a directory", path.display()));
    }
    let failed = |error: std::io::Error| format!("Cannot write '{}': {error}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.create(true);
    if append {
        options.append(true)
    } else {
        options.write(true).truncate(true)
    };
    options
        .open(&path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(failed)?;
    let (verb, lines) = (
        if append { "appended" } else { "written" },
        content.lines().count(),
    );
    let size = content.len();
    Ok(Value::String(format!(
        "✅ Successfully {verb} to '{}' ({size} bytes, {lines} lines)",
        path.display()
    )))
}
