//! `skim_files`.

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool};
use crate::args::Args;
use crate::file_ops::skim::{SkimOptions, skim_display};
use crate::spec::ArgType::{Integer, Number, Strings};
use crate::spec::{Arg, Example, ToolSpec};

pub(super) const TOOL: Tool = Tool {
    name: "skim_files",
    spec,
    run: Run::Blocking(run),
};

/// Files of one call.
const MAX_FILES: usize = 50;

fn spec() -> ToolSpec {
    ToolSpec {
        name: "skim_files",
        description: "Show a small, telling sample of one or more text files: beginning, end, headings, definitions and first lines of paragraphs, with line numbers.",
        when_to_use: "To judge what long files contain before reading parts of them with read_file.",
        args: vec![
            Arg::required("paths", Strings, "Files to sample."),
            Arg::optional(
                "target_percent",
                Number,
                8.0,
                "Share of the lines to show, 1 to 25.",
            ),
            Arg::optional("head_lines", Integer, 25, "Lines from the beginning."),
            Arg::optional("tail_lines", Integer, 25, "Lines from the end."),
        ],
        examples: vec![Example {
            description: "Look over two documents",
            arguments: json!({"paths": ["docs/design.md", "docs/api.md"]}),
        }],
        toolset: "files",
        tags: &["read"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let options = SkimOptions {
        target_percent: args.number("target_percent", 8.0),
        head_lines: args.count("head_lines", 25, 0, 500),
        tail_lines: args.count("tail_lines", 25, 0, 500),
    };
    let paths = args.texts("paths");
    if paths.is_empty() {
        return Err("paths must name at least one file".to_owned());
    }
    let mut blocks = Vec::new();
    let mut failures = 0;
    for raw in paths.iter().take(MAX_FILES) {
        files.stop.check()?;
        let block = files
            .resolve(raw)
            .and_then(|path| skim_display(&path, raw, options).map_err(|error| error.to_string()));
        blocks.push(block.unwrap_or_else(|error| {
            failures += 1;
            format!("{raw}: {error}")
        }));
    }
    if failures == blocks.len() {
        return Err(blocks.join("\n"));
    }
    if paths.len() > MAX_FILES {
        blocks.push(format!(
            "({} more files not shown; at most {MAX_FILES} per call)",
            paths.len() - MAX_FILES
        ));
    }
    Ok(Value::String(blocks.join("\n\n")))
}
