//! `search_files`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool, is_hidden};
use crate::args::Args;
use crate::spec::ArgType::{Boolean, Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use crate::text::{NamePatterns, cut};

pub(super) const TOOL: Tool = Tool {
    name: "search_files",
    spec,
    run: Run::Blocking(run),
};

const MAX_LINE_CHARS: usize = 400;
/// Larger files are data, not text to search.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
const MAX_SCANNED: usize = 200_000;

fn spec() -> ToolSpec {
    ToolSpec {
        name: "search_files",
        description: "Search file contents with a regular expression and show the matching lines with their numbers. Matching is case-sensitive; begin the pattern with (?i) to ignore case. Look-around and back-references are not supported.",
        when_to_use: "To find where something is defined, used or mentioned.",
        args: vec![
            Arg::required("pattern", Text, "Regular expression."),
            Arg::optional("path", Text, ".", "File or folder to search."),
            Arg::optional(
                "file_pattern",
                Text,
                "*",
                "Only files with this name pattern; several joined by |.",
            ),
            Arg::optional("head_limit", Integer, 10, "Most files to show."),
            Arg::optional("max_hits", Integer, 8, "Most matches to show per file."),
            Arg::optional(
                "multiline",
                Boolean,
                false,
                "Let . match line ends, so that a match may span lines.",
            ),
            Arg::optional(
                "include_hidden",
                Boolean,
                false,
                "Also files and folders that begin with a dot.",
            ),
        ],
        examples: vec![Example {
            description: "Find the definitions of a function",
            arguments: json!({"pattern": "def\\s+load_config", "file_pattern": "*.py"}),
        }],
        toolset: "files",
        tags: &["read"],
    }
}

fn run(args: &Args, files: &Files) -> Outcome {
    let pattern = args.text("pattern");
    let multiline = args.flag("multiline", false);
    let regex = RegexBuilder::new(pattern)
        .multi_line(true)
        .dot_matches_new_line(multiline)
        .size_limit(4 * 1024 * 1024)
        .build()
        .map_err(|error| format!("Invalid regex pattern '{pattern}': {error}"))?;
    let raw = args.opt_text("path").unwrap_or(".");
    let root = files.resolve(raw)?;
    if !root.exists() {
        return Err(format!("Path '{raw}' does not exist"));
    }
    let search = Search {
        files,
        regex,
        multiline,
        patterns: NamePatterns::parse(args.opt_text("file_pattern").unwrap_or("*")),
        hidden: args.flag("include_hidden", false),
        max_files: args.count("head_limit", 10, 1, 1000),
        max_hits: args.count("max_hits", 8, 1, 1000),
    };
    search.run(&root, pattern).map(Value::String)
}

struct Search<'a> {
    files: &'a Files,
    regex: Regex,
    multiline: bool,
    patterns: NamePatterns,
    hidden: bool,
    max_files: usize,
    max_hits: usize,
}

impl Search<'_> {
    fn run(&self, root: &Path, pattern: &str) -> Result<String, String> {
        let mut blocks: Vec<String> = Vec::new();
        let mut more = false;
        for path in self.candidates(root) {
            self.files.stop.check()?;
            let Some(hits) = read(&path).and_then(|text| self.hits(&text)) else {
                continue;
            };
            if blocks.len() == self.max_files {
                more = true;
                break;
            }
            let shown = path
                .strip_prefix(root)
                .ok()
                .filter(|rest| !rest.as_os_str().is_empty())
                .unwrap_or(&path);
            blocks.push(format!("{}:\n{hits}", shown.display()));
        }
        if blocks.is_empty() {
            return Ok(format!("No matches found for pattern '{pattern}'"));
        }
        let mut out = format!(
            "Search results for pattern '{pattern}' under '{}' in {} files:\n\n{}",
            root.display(),
            blocks.len(),
            blocks.join("\n")
        );
        if more {
            let _ = write!(
                out,
                "\n\n(more files match; raise head_limit or narrow path and file_pattern)"
            );
        }
        Ok(out)
    }

    /// Files in a stable order.
    fn candidates<'a>(&'a self, root: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
        let roots = self.files.workspace.roots();
        let rules = roots.ignore_rules(root);
        walkdir::WalkDir::new(root)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(move |entry| {
                entry.depth() == 0
                    || ((self.hidden || !is_hidden(entry.path()))
                        && !rules.is_ignored(entry.path(), entry.file_type().is_dir())
                        && !roots.is_blocked(entry.path()))
            })
            .take(MAX_SCANNED)
            .flatten()
            .filter(move |entry| {
                let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
                let readable = entry.file_type().is_file()
                    || (entry.path_is_symlink() && entry.path().is_file() && roots.allows_real(entry.path()));
                readable && (entry.depth() == 0 || self.patterns.matches(relative))
            })
            .map(walkdir::DirEntry::into_path)
    }

    fn hits(&self, text: &str) -> Option<String> {
        let mut lines: Vec<(usize, &str)> = Vec::new();
        let mut more = false;
        if self.multiline {
            let (mut at, mut number) = (0, 1);
            for found in self.regex.find_iter(text) {
                number += text[at..found.start()].matches('\n').count();
                at = found.start();
                let line = text[line_start(text, at)..].lines().next().unwrap_or_default();
                if lines.last().is_some_and(|(last, _)| *last == number) {
                    continue;
                }
                if lines.len() == self.max_hits {
                    more = true;
                    break;
                }
                lines.push((number, line));
            }
        } else {
            for (index, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| self.regex.is_match(line))
            {
                if lines.len() == self.max_hits {
                    more = true;
                    break;
                }
                lines.push((index + 1, line));
            }
        }
        if lines.is_empty() {
            return None;
        }
        let mut out: Vec<String> = lines
            .iter()
            .map(|(number, line)| format!("    {number}: {}", cut(line.trim_end(), MAX_LINE_CHARS)))
            .collect();
        if more {
            out.push("    (more matches in this file)".to_owned());
        }
        Some(out.join("\n"))
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The text of a file worth searching; bytes that are no UTF-8 do not hide the rest.
fn read(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    if found.len() > MAX_FILE_BYTES {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    if bytes.iter().take(8192).any(|byte| *byte == 0) {
        return None;
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}
