//! `.abstractignore`: files that tools, file nodes and file routes leave alone.
//!
//! Built-in rules keep version control, caches and build output out of listings. The nearest `.abstractignore` upwards
//! adds to them; the search ends at the root that the caller may see, so that a file outside cannot change what is
//! visible inside. The last matching rule decides.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::text::fnmatch;

const FILE_NAME: &str = ".abstractignore";
/// A rule file larger than this is not one.
const MAX_FILE_BYTES: u64 = 256 * 1024;
const BUILT_IN: &[&str] = &[
    ".git/",
    ".hg/",
    ".svn/",
    "__pycache__/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    "node_modules/",
    "dist/",
    "build/",
    ".venv/",
    "venv/",
    "env/",
    ".env/",
    ".cursor/",
    "*.d/",
];

#[derive(Clone, Debug)]
struct Rule {
    glob: GlobMatcher,
    /// `!`: what matches is visible again.
    visible: bool,
    directories_only: bool,
    /// Compared with the path below the anchor instead of the name.
    whole_path: bool,
}

/// The rules that hold below one directory.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    anchor: PathBuf,
    rules: Vec<Rule>,
}

impl IgnoreRules {
    /// Built-in rules and those of the nearest `.abstractignore` between `start` and `root` (both absolute).
    #[must_use]
    pub fn load(start: &Path, root: &Path) -> Self {
        let mut rules: Vec<Rule> = BUILT_IN.iter().filter_map(|line| parse(line)).collect();
        for dir in start.ancestors().take_while(|dir| dir.starts_with(root)) {
            let Some(text) = read_rules(&dir.join(FILE_NAME)) else {
                continue;
            };
            rules.extend(text.lines().filter_map(parse));
            return Self {
                anchor: dir.to_path_buf(),
                rules,
            };
        }
        Self {
            anchor: root.to_path_buf(),
            rules,
        }
    }

    /// Whether the rules hide `path` (absolute). What lies outside the anchor is not theirs to judge.
    ///
    /// A rule that matches a directory also holds for everything below it.
    #[must_use]
    pub fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        let Ok(relative) = path.strip_prefix(&self.anchor) else {
            return false;
        };
        let parts: Vec<(&Path, bool)> = relative
            .ancestors()
            .filter(|part| !part.as_os_str().is_empty())
            .enumerate()
            .map(|(index, part)| (part, index > 0 || is_dir))
            .collect();
        let matches = |rule: &Rule| {
            parts.iter().any(|(part, part_is_dir)| {
                (*part_is_dir || !rule.directories_only)
                    && if rule.whole_path {
                        rule.glob.is_match(part)
                    } else {
                        part.file_name()
                            .is_some_and(|name| rule.glob.is_match(Path::new(name)))
                    }
            })
        };
        self.rules
            .iter()
            .rev()
            .find(|rule| matches(rule))
            .is_some_and(|rule| !rule.visible)
    }
}

fn read_rules(path: &Path) -> Option<String> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_file() || found.len() > MAX_FILE_BYTES {
        return None;
    }
    fs::read_to_string(path).ok()
}

/// `None` for comments, empty lines and patterns that no glob can be made of.
fn parse(line: &str) -> Option<Rule> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (visible, line) = line
        .strip_prefix('!')
        .map_or((false, line), |rest| (true, rest.trim()));
    let (directories_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
    let (rooted, line) = line.strip_prefix('/').map_or((false, line), |rest| (true, rest));
    if line.is_empty() {
        return None;
    }
    let glob = GlobBuilder::new(&fnmatch(line))
        .literal_separator(false)
        .build()
        .ok()?;
    Some(Rule {
        glob: glob.compile_matcher(),
        visible,
        directories_only,
        whole_path: rooted || line.contains('/'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> (tempfile::TempDir, IgnoreRules) {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join(FILE_NAME), text).expect("write");
        let rules = IgnoreRules::load(dir.path(), dir.path());
        (dir, rules)
    }

    #[test]
    fn rules_decide_in_order() {
        let (dir, rules) = rules("# notes\n*.log\n!keep.log\n/top.txt\nsecret/\nsub/*.key\n{x}\nplain\n");
        let cases = [
            ("a.log", false, true),
            ("deep/a.log", false, true),
            ("keep.log", false, false),
            ("top.txt", false, true),
            ("deep/top.txt", false, false),
            ("secret", true, true),
            ("secret", false, false),
            ("a/secret/file", false, true),
            ("sub/a.key", false, true),
            ("a.key", false, false),
            ("{x}", false, true),
            ("x", false, false),
            ("plain/below.txt", false, true),
            ("node_modules/x/y.js", false, true),
            ("build", false, false),
            ("conf.d/x", false, true),
            ("A.LOG", false, false),
            ("src/main.rs", false, false),
        ];
        for (path, is_dir, expected) in cases {
            assert_eq!(
                rules.is_ignored(&dir.path().join(path), is_dir),
                expected,
                "{path}"
            );
        }
        assert!(!rules.is_ignored(Path::new("/elsewhere/a.log"), false));
    }

    #[test]
    fn the_nearest_file_counts_and_the_search_stops_at_the_root() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).expect("dirs");
        fs::write(dir.path().join(FILE_NAME), "outer\n").expect("write");
        fs::write(root.join("sub").join(FILE_NAME), "inner\n").expect("write");
        let at_root = IgnoreRules::load(&root, &root);
        assert!(!at_root.is_ignored(&root.join("outer"), false));
        let below = IgnoreRules::load(&root.join("sub"), &root);
        assert!(below.is_ignored(&root.join("sub/inner"), false));
        assert!(!below.is_ignored(&root.join("inner"), false));
    }
}
