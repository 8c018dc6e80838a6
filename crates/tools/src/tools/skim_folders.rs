//! `skim_folders`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Files, Outcome, Run, Tool, is_hidden};
use crate::args::Args;
use crate::file_ops::family::extension_of;
use crate::spec::ArgType::{Boolean, Integer, String as Text, Strings};
use crate::spec::{Arg, Example, ToolSpec};
use crate::text::NamePatterns;

pub(super) const TOOL: Tool = Tool {
    name: "skim_folders",
    spec,
    run: Run::Blocking(run),
};

/// Lines of one answer, over all folders.
const MAX_LINES: usize = 220;
/// Notable files named per folder.
const MAX_NOTABLE: usize = 40;
/// Entries looked at per folder.
const MAX_SCANNED: usize = 100_000;
const SAMPLES: usize = 4;
const TYPES: usize = 5;
/// Names that tell what a project is; compared without extension and case.
const NOTABLE: &[&str] = &[
    "readme",
    "changelog",
    "license",
    "contributing",
    "makefile",
    "dockerfile",
    "justfile",
    "cargo",
    "pyproject",
    "setup",
    "requirements",
    "package",
    "tsconfig",
    "go",
    "pom",
    "build",
    "cmakelists",
    "docker-compose",
    "compose",
    "main",
    "index",
    "app",
    "lib",
    "__init__",
    "manage",
    "server",
    "config",
];

fn spec() -> ToolSpec {
    ToolSpec {
        name: "skim_folders",
        description: "Give an overview of folder trees: per folder the number of subfolders and files, file types and sample names, and notable files.",
        when_to_use: "As the first look at an unknown project or data folder.",
        args: vec![
            Arg::required("paths", Strings, "Folders to look over."),
            Arg::optional("max_depth", Integer, 4, "Levels below each folder."),
            Arg::optional(
                "file_pattern",
                Text,
                "*",
                "Count only files with this name pattern; several joined by |.",
            ),
            Arg::optional(
                "include_hidden",
                Boolean,
                false,
                "Also names that begin with a dot.",
            ),
        ],
        examples: vec![Example {
            description: "Overview of a project",
            arguments: json!({"paths": ["."]}),
        }],
        toolset: "files",
        tags: &["read"],
    }
}

#[derive(Default)]
struct Folder {
    dirs: usize,
    files: usize,
    types: BTreeMap<String, usize>,
    samples: Vec<String>,
}

fn run(args: &Args, files: &Files) -> Outcome {
    let paths = args.texts("paths");
    if paths.is_empty() {
        return Err("paths must name at least one folder".to_owned());
    }
    let options = Options {
        depth: args.count("max_depth", 4, 1, 32),
        patterns: NamePatterns::parse(args.opt_text("file_pattern").unwrap_or("*")),
        hidden: args.flag("include_hidden", false),
    };
    let mut room = MAX_LINES;
    let mut blocks = Vec::new();
    let mut failures = 0;
    for raw in &paths {
        if room == 0 {
            blocks.push(format!(
                "(output limit of {MAX_LINES} lines reached; skim the other folders separately)"
            ));
            break;
        }
        match files
            .resolve(raw)
            .and_then(|path| overview(files, &path, raw, &options, &mut room))
        {
            Ok(block) => blocks.push(block),
            Err(error) => {
                files.stop.check()?;
                failures += 1;
                blocks.push(format!("{raw}: {error}"));
            }
        }
    }
    if failures == blocks.len() {
        Err(blocks.join("\n"))
    } else {
        Ok(Value::String(blocks.join("\n\n")))
    }
}

struct Options {
    depth: usize,
    patterns: NamePatterns,
    hidden: bool,
}

fn overview(
    files: &Files,
    root: &Path,
    raw: &str,
    options: &Options,
    room: &mut usize,
) -> Result<String, String> {
    if !root.exists() {
        return Err(format!("Folder '{raw}' does not exist"));
    }
    if !root.is_dir() {
        return Err(format!("'{raw}' is not a folder"));
    }
    let (folders, notable) = scan(files, root, options)?;
    let shown = folders.len().min(*room);
    *room -= shown;
    let mut out = format!(
        "Folder: {} - depth<={} (showing {shown} dirs)",
        root.display(),
        options.depth
    );
    for (path, folder) in folders.iter().take(shown) {
        let name = if path.as_os_str().is_empty() {
            ".".into()
        } else {
            path.to_string_lossy()
        };
        let _ = write!(out, "\n{name}/ ({} dirs, {} files", folder.dirs, folder.files);
        if !folder.types.is_empty() {
            let _ = write!(out, "; types {}", types(&folder.types));
        }
        out.push(')');
        if !folder.samples.is_empty() {
            let _ = write!(out, " - samples: {}", folder.samples.join(", "));
        }
    }
    if folders.len() > shown {
        let _ = write!(out, "\n({} more dirs not shown)", folders.len() - shown);
    }
    let named = notable.len().min(MAX_NOTABLE).min(*room);
    if named > 0 {
        *room -= named;
        out.push_str("\nNotable files:");
        for path in notable.iter().take(named) {
            let _ = write!(out, "\n  {}", path.to_string_lossy());
        }
    }
    Ok(out)
}

/// Folders by relative path, and notable files, the ones nearest to the root first.
fn scan(
    files: &Files,
    root: &Path,
    options: &Options,
) -> Result<(BTreeMap<PathBuf, Folder>, Vec<PathBuf>), String> {
    let roots = files.workspace.roots();
    let rules = roots.ignore_rules(root);
    let mut folders: BTreeMap<PathBuf, Folder> = BTreeMap::from([(PathBuf::new(), Folder::default())]);
    let mut notable: BTreeSet<(usize, PathBuf)> = BTreeSet::new();
    // One level deeper than shown, so that the deepest folders are counted too.
    let walk = walkdir::WalkDir::new(root)
        .min_depth(1)
        .max_depth(options.depth + 1)
        .sort_by_file_name();
    let walk = walk.into_iter().filter_entry(|entry| {
        entry.depth() == 0
            || ((options.hidden || !is_hidden(entry.path()))
                && !rules.is_ignored(entry.path(), entry.file_type().is_dir())
                && !roots.is_blocked(entry.path()))
    });
    for entry in walk.take(MAX_SCANNED).flatten() {
        files.stop.check()?;
        let Ok(relative) = entry.path().strip_prefix(root) else {
            continue;
        };
        let parent = relative.parent().unwrap_or(Path::new("")).to_path_buf();
        if entry.file_type().is_dir() {
            if let Some(folder) = folders.get_mut(&parent) {
                folder.dirs += 1;
            }
            if entry.depth() <= options.depth {
                folders.insert(relative.to_path_buf(), Folder::default());
            }
            continue;
        }
        if !options.patterns.matches(relative)
            || (entry.path_is_symlink() && !roots.allows_real(entry.path()))
        {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_notable(&name) {
            notable.insert((entry.depth(), relative.to_path_buf()));
        }
        if let Some(folder) = folders.get_mut(&parent) {
            folder.files += 1;
            let extension = extension_of(&name);
            let kind = if extension.is_empty() {
                "(none)".to_owned()
            } else {
                format!(".{extension}")
            };
            *folder.types.entry(kind).or_default() += 1;
            if folder.samples.len() < SAMPLES {
                folder.samples.push(name);
            }
        }
    }
    Ok((folders, notable.into_iter().map(|(_, path)| path).collect()))
}

fn types(types: &BTreeMap<String, usize>) -> String {
    let mut sorted: Vec<(&String, &usize)> = types.iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let shown: Vec<String> = sorted
        .iter()
        .take(TYPES)
        .map(|(name, count)| format!("{name}:{count}"))
        .collect();
    shown.join(", ")
}

fn is_notable(name: &str) -> bool {
    let folded = name.to_lowercase();
    let stem = folded.split_once('.').map_or(folded.as_str(), |(stem, _)| stem);
    NOTABLE.contains(&stem)
}
