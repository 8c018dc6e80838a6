//! Unified diffs for one file.

use std::sync::LazyLock;

use regex::Regex;

use crate::context::Stop;

/// More than this is a rewrite.
const MAX_PATCH_LINES: usize = 20_000;

/// Whether a text is meant as a diff.
pub(super) fn is_diff(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("@@"))
}

struct Hunk<'a> {
    /// Line of the old file where the hunk claims to begin, 1-based; `None` when its header does not say.
    at: Option<usize>,
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

/// The patched text and what was done in words. Hunks that moved are found where their old lines are, the nearest
/// place first.
pub(super) fn apply(old: &str, diff: &str, stop: &Stop) -> Result<(String, String), String> {
    let hunks = parse(diff)?;
    let crlf = old.contains("\r\n");
    let lines: Vec<&str> = old.lines().collect();
    let mut out: Vec<&str> = Vec::with_capacity(lines.len());
    let mut done = 0;
    let mut drift = 0_isize;
    for (index, hunk) in hunks.iter().enumerate() {
        let claimed = hunk
            .at
            .map_or(done, |at| (at.max(1) - 1).saturating_add_signed(drift));
        let at = find(&lines, hunk, done, claimed, stop)?.ok_or_else(|| failure(index + 1, hunk))?;
        if let Some(claim) = hunk.at {
            drift = at.cast_signed() - (claim.max(1) - 1).cast_signed();
        }
        out.extend(&lines[done..at]);
        out.extend(&hunk.new);
        done = at + hunk.old.len();
    }
    out.extend(&lines[done..]);
    let mut text = out.join(if crlf { "\r\n" } else { "\n" });
    if !text.is_empty() && (old.is_empty() || old.ends_with('\n')) {
        text.push_str(if crlf { "\r\n" } else { "\n" });
    }
    Ok((
        text,
        format!(
            "{} hunk{} applied",
            hunks.len(),
            if hunks.len() == 1 { "" } else { "s" }
        ),
    ))
}

fn parse(diff: &str) -> Result<Vec<Hunk<'_>>, String> {
    static HEADER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^@@(?:\s*-(\d+)(?:,(\d+))?\s+\+\d+(?:,\d+)?\s*@@)?").expect("constant pattern")
    });
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    let mut files = 0;
    for (number, line) in diff.lines().enumerate() {
        if number >= MAX_PATCH_LINES {
            return Err(format!(
                "The diff is too long (more than {MAX_PATCH_LINES} lines)"
            ));
        }
        if let Some(header) = HEADER.captures(line) {
            let start = header
                .get(1)
                .and_then(|start| start.as_str().parse::<usize>().ok());
            // `-n,0` inserts after line n.
            let inserts = header.get(2).is_some_and(|count| count.as_str() == "0");
            let at = start.map(|start| if inserts { start.saturating_add(1) } else { start });
            hunks.push(Hunk {
                at,
                old: Vec::new(),
                new: Vec::new(),
            });
            continue;
        }
        if line.starts_with("diff --git ") || (line.starts_with("--- ") && is_file_header(diff, number)) {
            files += usize::from(line.starts_with("--- "));
            if files > 1 {
                return Err("The diff changes more than one file; call edit_file once per file".to_owned());
            }
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        match line.as_bytes().first() {
            Some(b'+') if line.starts_with("+++ ") && is_file_header(diff, number.saturating_sub(1)) => {}
            Some(b'+') => hunk.new.push(&line[1..]),
            Some(b'-') => hunk.old.push(&line[1..]),
            Some(b' ') => {
                hunk.old.push(&line[1..]);
                hunk.new.push(&line[1..]);
            }
            // An empty context line that lost its blank.
            None => {
                hunk.old.push("");
                hunk.new.push("");
            }
            Some(b'\\') => {}
            Some(_) => {
                return Err(format!(
                    "The diff is malformed at its line {}: '{line}'",
                    number + 1
                ));
            }
        }
    }
    for hunk in &mut hunks {
        // Blank lines after the last hunk are not part of it.
        while hunk.old.last() == Some(&"") && hunk.new.last() == Some(&"") && hunk.old.len() > 1 {
            hunk.old.pop();
            hunk.new.pop();
        }
    }
    Ok(hunks)
}

/// A `---` line is a header only when `+++` follows; else it removes a line that begins with two dashes.
fn is_file_header(diff: &str, number: usize) -> bool {
    let mut pair = diff.lines().skip(number);
    pair.next().is_some_and(|line| line.starts_with("--- "))
        && pair.next().is_some_and(|line| line.starts_with("+++ "))
}

/// Where the hunk's old lines are, not before `from`, as near to `claimed` as possible.
fn find(
    lines: &[&str],
    hunk: &Hunk<'_>,
    from: usize,
    claimed: usize,
    stop: &Stop,
) -> Result<Option<usize>, String> {
    let Some(last) = lines.len().checked_sub(hunk.old.len()) else {
        return Ok(None);
    };
    if hunk.old.is_empty() {
        return Ok(Some(claimed.clamp(from, lines.len())));
    }
    if last < from {
        return Ok(None);
    }
    let claimed = claimed.clamp(from, last);
    for trimmed in [false, true] {
        let same = |a: &&str, b: &&str| {
            if trimmed {
                a.trim_end() == b.trim_end()
            } else {
                a == b
            }
        };
        for distance in 0..=(last - from) {
            stop.check()?;
            let below = claimed.checked_sub(distance).filter(|at| *at >= from);
            let above = Some(claimed + distance).filter(|at| *at <= last && distance > 0);
            for at in [below, above].into_iter().flatten() {
                if lines[at..].iter().zip(&hunk.old).all(|(a, b)| same(a, b)) {
                    return Ok(Some(at));
                }
            }
        }
    }
    Ok(None)
}

fn failure(number: usize, hunk: &Hunk<'_>) -> String {
    let first = hunk
        .old
        .iter()
        .find(|line| !line.trim().is_empty())
        .copied()
        .unwrap_or_default();
    format!(
        "Hunk {number} does not apply: its lines were not found in the file (first: '{first}'). Nothing was written."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(old: &str, diff: &str) -> Result<String, String> {
        apply(old, diff, &Stop::default()).map(|(text, _)| text)
    }

    #[test]
    fn diffs_are_applied() {
        let old = "one\ntwo\nthree\nfour\nfive\n";
        let cases = [
            (
                "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n",
                "one\nTWO\nthree\nfour\nfive\n",
            ),
            (
                "@@ -40,2 +40,2 @@\n four\n-five\n+FIVE\n",
                "one\ntwo\nthree\nfour\nFIVE\n",
            ),
            ("@@\n-three\n@@\n-five\n+six\n", "one\ntwo\nfour\nsix\n"),
            ("@@ -2,0 +3 @@\n+new\n", "one\ntwo\nnew\nthree\nfour\nfive\n"),
            (
                "@@ -1 +1,2 @@\n one   \n+more\n",
                "one   \nmore\ntwo\nthree\nfour\nfive\n",
            ),
        ];
        for (diff, expected) in cases {
            assert_eq!(patch(old, diff).as_deref(), Ok(expected), "{diff}");
        }
        assert_eq!(
            patch("-- a\nb", "@@ -1,2 +1,2 @@\n--- a\n+-- c\n b\n").as_deref(),
            Ok("-- c\nb")
        );
        assert_eq!(
            patch("a\r\nb\r\n", "@@ -1 +1 @@\n-a\n+c\n").as_deref(),
            Ok("c\r\nb\r\n")
        );
        assert_eq!(patch("", "@@ -0,0 +1 @@\n+a\n").as_deref(), Ok("a\n"));
    }

    #[test]
    fn diffs_that_do_not_fit_are_refused() {
        let error = patch("a\n", "@@ -1 +1 @@\n-b\n+c\n").expect_err("no place");
        assert!(error.starts_with("Hunk 1 does not apply"), "{error}");
        let two = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n";
        assert!(
            patch("a\n", two)
                .expect_err("two files")
                .contains("more than one file")
        );
        assert!(
            patch("a\n", "@@ -1 +1 @@\nwhat\n")
                .expect_err("malformed")
                .contains("malformed")
        );
        assert!(!is_diff("plain text"));
    }
}
