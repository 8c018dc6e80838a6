//! Small text helpers shared by the tools.

use std::fmt::Write as _;

/// At most `max` characters; a cut text ends with `…`.
pub(crate) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first `max` characters of `text`, and whether that is less than all.
pub(crate) fn head(text: &str, max: usize) -> (&str, bool) {
    match text.char_indices().nth(max) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// `<right-aligned number>: <text>` per line, numbers from `first`.
pub(crate) fn numbered<'a>(lines: impl Iterator<Item = &'a str>, first: usize, last: usize) -> String {
    let width = last.max(1).to_string().len();
    let mut out = String::new();
    for (index, line) in lines.enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let _ = write!(out, "{:>width$}: {line}", first + index);
    }
    out
}

/// A shell pattern as glob syntax: only `*`, `?` and `[…]` are special. A bracket that is never closed is a character.
pub(crate) fn fnmatch(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 4);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '[' => {
                // `]` directly after the opening (or its `!`) is part of the set.
                let skip = usize::from(after.starts_with('!'));
                let set_start = skip + usize::from(after[skip..].starts_with(']'));
                if let Some(end) = after[set_start..].find(']') {
                    let end = set_start + end;
                    out.push('[');
                    out.push_str(&after[..=end]);
                    rest = &after[end + 1..];
                    continue;
                }
                out.push_str("[[]");
            }
            '{' | '}' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
        rest = after;
    }
    out
}

/// Name patterns joined by `|`, as the listing tools accept them.
#[derive(Debug)]
pub(crate) struct NamePatterns(Vec<(globset::GlobMatcher, bool)>);

impl NamePatterns {
    pub(crate) fn parse(text: &str) -> Self {
        let patterns = text
            .split('|')
            .map(str::trim)
            .filter(|pattern| !pattern.is_empty())
            .filter_map(|pattern| {
                let glob = globset::GlobBuilder::new(&fnmatch(pattern))
                    .literal_separator(false)
                    .build()
                    .ok()?;
                Some((glob.compile_matcher(), pattern.contains('/')))
            })
            .collect();
        Self(patterns)
    }

    /// Patterns with a `/` look at the relative path, others at the name. No pattern at all matches everything.
    pub(crate) fn matches(&self, relative: &std::path::Path) -> bool {
        let name = relative.file_name().map_or(relative, std::path::Path::new);
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|(glob, whole)| glob.is_match(if *whole { relative } else { name }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn numbers_are_right_aligned() {
        assert_eq!(numbered(["a", "b"].into_iter(), 1, 2), "1: a\n2: b");
        assert_eq!(numbered(["a", "b"].into_iter(), 9, 10), " 9: a\n10: b");
        assert_eq!(numbered(std::iter::empty(), 1, 0), "");
    }

    #[test]
    fn cutting_respects_characters() {
        assert_eq!(cut("héllo", 2), "hé…");
        assert_eq!(cut("hé", 2), "hé");
        assert_eq!(head("✓✓", 1), ("✓", true));
    }

    #[test]
    fn name_patterns_are_shell_patterns() {
        let cases = [
            ("*.py|*.rs", "src/a.rs", true),
            ("*.py", "src/a.rs", false),
            ("src/*.rs", "src/a.rs", true),
            ("**/*.rs", "src/deep/a.rs", true),
            ("[ab].txt", "a.txt", true),
            ("[!a].txt", "a.txt", false),
            ("[x", "[x", true),
            ("{a,b}", "a", false),
            ("", "anything", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                NamePatterns::parse(pattern).matches(Path::new(path)),
                expected,
                "{pattern} {path}"
            );
        }
    }
}
