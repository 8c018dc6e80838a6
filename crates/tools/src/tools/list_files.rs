//! `list_files`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool, is_hidden};
use crate::args::Args;
use crate::spec::ArgType::{Boolean, Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use crate::text::NamePatterns;

pub(super) const TOOL: Tool = Tool {
    name: "list_files",
    spec,
    run: Run::Blocking(run),
};

/// Entries looked at before a listing stops counting.
const MAX_SCANNED: usize = 100_000;

fn spec() -> ToolSpec {
    ToolSpec {
        name: "list_files",
        description: "List files and folders of a directory, optionally by name pattern and recursively.",
        when_to_use: "To find out which files there are. For an overview of a tree use skim_folders, for contents search_files.",
        args: vec![
            Arg::optional("directory_path", Text, ".", "Directory to list."),
            Arg::optional(
                "pattern",
                Text,
                "*",
                "Name pattern such as *.py; several joined by |.",
            ),
            Arg::optional("recursive", Boolean, false, "Also list subfolders."),
            Arg::optional(
                "include_hidden",
                Boolean,
                false,
                "Also list names that begin with a dot.",
            ),
            Arg::optional("head_limit", Integer, 10, "Most entries to show."),
        ],
        examples: vec![Example {
            description: "All Python and Markdown files",
            arguments: json!({"pattern": "*.py|*.md", "recursive": true, "head_limit": 50}),
        }],
        toolset: "files",
        tags: &["read"],
    }
}

struct Entry {
    relative: PathBuf,
    size: Option<u64>,
}

fn run(args: &Args, files: &Files) -> Outcome {
    let raw = args.opt_text("directory_path").unwrap_or(".");
    let dir = files.resolve(raw)?;
    let shown = dir.display();
    if !dir.exists() {
        return Err(format!("Directory '{raw}' does not exist"));
    }
    if !dir.is_dir() {
        return Err(format!("'{raw}' is not a directory"));
    }
    let pattern = args.opt_text("pattern").unwrap_or("*");
    let hidden = args.flag("include_hidden", false);
    let limit = args.count("head_limit", 10, 1, 5000);
    let (mut entries, complete) = collect(files, &dir, pattern, args.flag("recursive", false), hidden)?;
    if entries.is_empty() {
        return Ok(Value::String(format!(
            "Directory '{shown}' exists but no entries match pattern '{pattern}'"
        )));
    }
    entries.sort_by_cached_key(|entry| {
        (
            entry.size.is_some(),
            entry.relative.to_string_lossy().to_lowercase(),
            entry.relative.clone(),
        )
    });
    let note = if hidden { "included" } else { "excluded" };
    let mut out = format!("Entries in '{shown}' matching '{pattern}' (hidden entries {note}):");
    for entry in entries.iter().take(limit) {
        let name = entry.relative.to_string_lossy();
        let _ = match entry.size {
            Some(size) => write!(out, "\n  {name} ({size} bytes)"),
            None => write!(out, "\n  {name}/"),
        };
    }
    if entries.len() > limit {
        let total = entries.len();
        let more = if complete { "" } else { " or more" };
        let _ = write!(
            out,
            "\n(showing {limit} of {total}{more} entries)\nRaise head_limit or narrow the pattern to see the others."
        );
    }
    Ok(Value::String(out))
}

/// Matching entries, and whether the walk came to its end.
fn collect(
    files: &Files,
    dir: &Path,
    pattern: &str,
    recursive: bool,
    hidden: bool,
) -> Result<(Vec<Entry>, bool), String> {
    let roots = files.workspace.roots();
    let rules = roots.ignore_rules(dir);
    let patterns = NamePatterns::parse(pattern);
    let depth = if recursive { usize::MAX } else { 1 };
    let walk = walkdir::WalkDir::new(dir)
        .min_depth(1)
        .max_depth(depth)
        .sort_by_file_name()
        .into_iter();
    let walk = walk.filter_entry(|entry| {
        entry.depth() == 0
            || ((hidden || !is_hidden(entry.path()))
                && !rules.is_ignored(entry.path(), entry.file_type().is_dir())
                && !roots.is_blocked(entry.path()))
    });
    let mut entries = Vec::new();
    for (scanned, entry) in walk.flatten().enumerate() {
        if scanned >= MAX_SCANNED {
            return Ok((entries, false));
        }
        files.stop.check()?;
        let Ok(relative) = entry.path().strip_prefix(dir) else {
            continue;
        };
        if !patterns.matches(relative) {
            continue;
        }
        let found = if entry.path_is_symlink() {
            if !roots.allows_real(entry.path()) {
                continue;
            }
            fs::metadata(entry.path())
        } else {
            entry.metadata().map_err(std::io::Error::from)
        };
        let Ok(found) = found else { continue };
        let size = (!found.is_dir()).then_some(found.len());
        entries.push(Entry {
            relative: relative.to_path_buf(),
            size,
        });
    }
    Ok((entries, true))
}
