//! `read_file`.

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool};
use crate::args::Args;
use crate::file_ops::read::{Range, read_display};
use crate::spec::ArgType::{Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};

pub(super) const TOOL: Tool = Tool {
    name: "read_file",
    spec,
    run: Run::Blocking(run),
};

fn spec() -> ToolSpec {
    ToolSpec {
        name: "read_file",
        description: "Read a text file with line numbers, whole or a range of lines. At most 2000 lines per call.",
        when_to_use: "Before editing or quoting a file. For long files find the place with search_files or skim_files first.",
        args: vec![
            Arg::required("file_path", Text, "Path of the file."),
            Arg::optional("start_line", Integer, 1, "First line, 1-based."),
            Arg::optional(
                "end_line",
                Integer,
                Value::Null,
                "Last line, inclusive; default: the end.",
            ),
        ],
        examples: vec![
            Example {
                description: "Read a whole file",
                arguments: json!({"file_path": "README.md"}),
            },
            Example {
                description: "Read one function",
                arguments: json!({"file_path": "src/main.py", "start_line": 40, "end_line": 75}),
            },
        ],
        toolset: "files",
        tags: &["read"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let raw = args.text("file_path");
    let path = files.resolve(raw)?;
    let range = Range {
        start: args.int("start_line", 1),
        end: args.opt_int("end_line"),
    };
    read_display(&path, raw, range)
        .map(Value::String)
        .map_err(|error| error.to_string())
}
