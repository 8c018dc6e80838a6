//! `edit_file`: literal and regular-expression replacement, and unified diffs.

mod patch;
mod replace;
mod report;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool};
use crate::args::Args;
use crate::file_ops::read::load_text;
use crate::outline::Language;
use crate::python;
use crate::spec::ArgType::{Boolean, Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use replace::Edit;

pub(super) const TOOL: Tool = Tool {
    name: "edit_file",
    spec,
    run: Run::Blocking(run),
};

/// Larger files are not edited by hand.
const MAX_BYTES: usize = 8 * 1024 * 1024;

fn spec() -> ToolSpec {
    ToolSpec {
        name: "edit_file",
        description: "Change a part of a text file: replace a literal text (default) or a regular expression, or apply a unified diff for this file given as pattern without replacement. Returns the difference and the surroundings of the change.",
        when_to_use: "For every change to an existing file that is not a rewrite. Read the place first; the pattern must match the file exactly, blanks included.",
        args: vec![
            Arg::required("file_path", Text, "File to change."),
            Arg::required(
                "pattern",
                Text,
                "Text to find, a regular expression with use_regex, or a unified diff.",
            ),
            Arg::optional(
                "replacement",
                Text,
                Value::Null,
                "Text to put in its place; \\1 refers to a group of the expression. Leave out for a diff.",
            ),
            Arg::optional(
                "use_regex",
                Boolean,
                false,
                "Treat pattern as a regular expression.",
            ),
            Arg::optional("max_replacements", Integer, -1, "Most replacements; -1 for all."),
            Arg::optional(
                "start_line",
                Integer,
                Value::Null,
                "Only change lines from here, 1-based.",
            ),
            Arg::optional(
                "end_line",
                Integer,
                Value::Null,
                "Only change lines up to here, inclusive.",
            ),
            Arg::optional(
                "preview_only",
                Boolean,
                false,
                "Show the difference without writing.",
            ),
        ],
        examples: vec![
            Example {
                description: "Rename a constant once",
                arguments: json!({"file_path": "app.py", "pattern": "TIMEOUT = 10", "replacement": "TIMEOUT = 30", "max_replacements": 1}),
            },
            Example {
                description: "Apply a diff",
                arguments: json!({"file_path": "app.py", "pattern": "@@ -1,2 +1,2 @@\n import os\n-x = 1\n+x = 2\n"}),
            },
        ],
        toolset: "files",
        tags: &["write"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let raw = args.text("file_path");
    let path = files.resolve(raw)?;
    let old = load_text(&path, raw).map_err(|error| error.to_string())?;
    if old.len() > MAX_BYTES {
        return Err(format!(
            "File '{raw}' is too large to edit ({} bytes > {MAX_BYTES} bytes)",
            old.len()
        ));
    }
    let pattern = args.text("pattern");
    // An empty replacement deletes; none at all means a diff.
    let replacement = args.0.get("replacement").and_then(Value::as_str);
    let (new, done) = match replacement {
        None if patch::is_diff(pattern) => patch::apply(&old, pattern, &files.stop)?,
        None => {
            return Err(
                "replacement is required unless pattern is a unified diff (with @@ hunks)".to_owned(),
            );
        }
        Some(replacement) => replace::apply(
            &old,
            &Edit {
                pattern,
                replacement,
                regex: args.flag("use_regex", false),
                max: usize::try_from(args.int("max_replacements", -1)).ok(),
                start_line: args.opt_int("start_line"),
                end_line: args.opt_int("end_line"),
            },
            raw,
        )?,
    };
    if new.len() > MAX_BYTES {
        return Err(format!(
            "Edit refused: the file would grow to {} bytes (limit {MAX_BYTES})",
            new.len()
        ));
    }
    if new == old {
        return Ok(Value::String(format!(
            "No changes: '{}' already has this content",
            path.display()
        )));
    }
    let is_python = path
        .file_name()
        .and_then(|name| Language::of_file(&name.to_string_lossy()))
        == Some(Language::Python);
    if is_python
        && let Some(error) = python::syntax_error(&new)
        && python::syntax_error(&old).is_none()
    {
        return Err(format!(
            "Edit refused: '{raw}' would no longer be valid Python ({error}). Nothing was written."
        ));
    }
    let preview = args.flag("preview_only", false);
    if !preview {
        save(&path, &new).map_err(|error| format!("Cannot write '{}': {error}", path.display()))?;
    }
    Ok(Value::String(report::describe(&path, &old, &new, &done, preview)))
}

/// Replaces a file's text so that a crash leaves the old or the new one. Where a rename is not possible (a file mounted
/// on its own), the file is written in place.
fn save(path: &Path, text: &str) -> io::Result<()> {
    let replace = || -> io::Result<()> {
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        let mut file = tempfile::Builder::new().prefix(".edit-").tempfile_in(parent)?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(fs::metadata(path)?.permissions())?;
        file.persist(path)?;
        Ok(())
    };
    replace().or_else(|_| fs::write(path, text))
}
