//! `analyze_code`.

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool};
use crate::args::Args;
use crate::file_ops::read::load_text;
use crate::outline::{Language, outline};
use crate::python;
use crate::spec::ArgType::String as Text;
use crate::spec::{Arg, Example, ToolSpec};

pub(super) const TOOL: Tool = Tool {
    name: "analyze_code",
    spec,
    run: Run::Blocking(run),
};

fn spec() -> ToolSpec {
    ToolSpec {
        name: "analyze_code",
        description: "Outline a source file: imports, classes with methods, functions and relationships with line ranges. Knows Python, JavaScript, TypeScript, Rust, R and HTML.",
        when_to_use: "Before reading or editing a source file of more than a screen: it tells which lines to read.",
        args: vec![
            Arg::required("file_path", Text, "Source file."),
            Arg::optional(
                "language",
                Text,
                Value::Null,
                "Language, if the file's extension does not tell.",
            ),
        ],
        examples: vec![Example {
            description: "Outline a module",
            arguments: json!({"file_path": "src/app.py"}),
        }],
        toolset: "files",
        tags: &["read", "code"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let raw = args.text("file_path");
    let path = files.resolve(raw)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let language = match args.opt_text("language") {
        Some(given) => Language::named(given).ok_or_else(|| unsupported(given))?,
        None => Language::of_file(&name).ok_or_else(|| unsupported(&name))?,
    };
    let source = load_text(&path, raw).map_err(|error| error.to_string())?;
    if source.len() > python::MAX_BYTES {
        let limit = python::MAX_BYTES;
        return Err(format!(
            "File '{raw}' is too large to analyse ({} bytes > {limit} bytes)",
            source.len()
        ));
    }
    let lines = source.lines().count();
    let outline = outline(language, &source).render();
    Ok(Value::String(format!(
        "Outline of '{}' ({}, {lines} lines){outline}",
        path.display(),
        language.name()
    )))
}

fn unsupported(what: &str) -> String {
    format!(
        "Unsupported code language for '{what}'. Supported: python, javascript, typescript, rust, r, html"
    )
}
