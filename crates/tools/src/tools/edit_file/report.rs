//! What an edit tells the model.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::text::{cut, numbered};

const MAX_DIFF_LINES: usize = 120;
const MAX_LINE_CHARS: usize = 240;
/// Lines around the first change.
const EXCERPT_AROUND: usize = 5;
const MAX_EXCERPT: usize = 40;

pub(super) fn describe(path: &Path, old: &str, new: &str, done: &str, preview: bool) -> String {
    // A deadline: files of equal lines make the exact difference expensive, an approximate one will do.
    let diff = TextDiff::configure()
        .timeout(Duration::from_secs(1))
        .diff_lines(old, new);
    let (mut added, mut removed) = (0, 0);
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Insert => added += 1,
            ChangeTag::Delete => removed += 1,
            ChangeTag::Equal => {}
        }
    }
    let verb = if preview { "Preview of edit to" } else { "Edited" };
    let mut out = format!("{verb} '{}': {done} (+{added} -{removed} lines)", path.display());
    let unified = diff.unified_diff().context_radius(2).to_string();
    let lines: Vec<&str> = unified.lines().collect();
    for line in lines.iter().take(MAX_DIFF_LINES) {
        let _ = write!(out, "\n{}", cut(line, MAX_LINE_CHARS));
    }
    if lines.len() > MAX_DIFF_LINES {
        let _ = write!(out, "\n({} more diff lines)", lines.len() - MAX_DIFF_LINES);
    }
    if preview {
        out.push_str("\n\nNothing was written (preview_only).");
        return out;
    }
    if let Some((first, excerpt)) = excerpt(old, new) {
        let _ = write!(out, "\n\nFile after the edit, from line {first}:\n{excerpt}");
    }
    out
}

/// Numbered lines around the changed part of the new text.
fn excerpt(old: &str, new: &str) -> Option<(usize, String)> {
    let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - same;
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let start = same.saturating_sub(EXCERPT_AROUND);
    let end = (after.len() - tail + EXCERPT_AROUND)
        .min(after.len())
        .min(start + MAX_EXCERPT);
    if start >= end {
        return None;
    }
    let lines: Vec<String> = after[start..end]
        .iter()
        .map(|line| cut(line, MAX_LINE_CHARS))
        .collect();
    Some((
        start + 1,
        numbered(lines.iter().map(String::as_str), start + 1, end),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_shows_difference_and_surroundings() {
        let old: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 10\n", "ten\n");
        let text = describe(Path::new("/w/f"), &old, &new, "1 replacement", false);
        assert!(
            text.starts_with("Edited '/w/f': 1 replacement (+1 -1 lines)\n@@ -8,5 +8,5 @@\n"),
            "{text}"
        );
        assert!(text.contains("\n-line 10\n+ten\n"));
        assert!(
            text.contains("File after the edit, from line 5:\n 5: line 5\n"),
            "{text}"
        );
        assert!(text.ends_with("\n15: line 15"), "{text}");
        let preview = describe(Path::new("/w/f"), &old, &new, "1 replacement", true);
        assert!(preview.starts_with("Preview of edit to") && preview.ends_with("(preview_only)."));
        let emptied = describe(Path::new("/w/f"), "a\n", "", "1 replacement", false);
        assert!(emptied.contains("(+0 -1 lines)"));
    }
}
