//! A few telling lines of a text file.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::read::{ReadError, load_text};
use crate::text::cut;

const MIN_LINES: usize = 20;
const MAX_LINES: usize = 200;
const MAX_LINE_CHARS: usize = 240;

/// How much to show.
#[derive(Clone, Copy, Debug)]
pub struct SkimOptions {
    /// Share of the file's lines, 1 to 25.
    pub target_percent: f64,
    /// Lines from the beginning, 0 to 500.
    pub head_lines: usize,
    /// Lines from the end, 0 to 500.
    pub tail_lines: usize,
}

impl Default for SkimOptions {
    fn default() -> Self {
        Self {
            target_percent: 8.0,
            head_lines: 25,
            tail_lines: 25,
        }
    }
}

/// `File: <path> (<n> lines) - skim <k> lines (target 8.0%)`, an empty line, and sampled numbered lines.
///
/// # Errors
/// As [`load_text`].
pub fn skim_display(path: &Path, shown: &str, options: SkimOptions) -> Result<String, ReadError> {
    let text = load_text(path, shown)?;
    let lines: Vec<&str> = text.lines().collect();
    let percent = options.target_percent.clamp(1.0, 25.0);
    let chosen = choose(
        &lines,
        percent,
        options.head_lines.min(500),
        options.tail_lines.min(500),
    );
    let width = lines.len().max(1).to_string().len();
    let mut out = format!(
        "File: {} ({} lines) - skim {} lines (target {percent:.1}%)\n",
        path.display(),
        lines.len(),
        chosen.len()
    );
    for index in chosen {
        let _ = write!(
            out,
            "\n{:>width$}: {}",
            index + 1,
            cut(first_sentence(lines[index]), MAX_LINE_CHARS)
        );
    }
    Ok(out)
}

/// Indexes of the lines to show, in order.
///
/// Head and tail take up to 60 % of the budget; the rest goes to lines that carry structure, then to any line with
/// text, spread evenly over the middle.
fn choose(lines: &[&str], percent: f64, head: usize, tail: usize) -> Vec<usize> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "line counts are small and positive"
    )]
    let share = (lines.len() as f64 * percent / 100.0).ceil() as usize;
    let budget = share.clamp(MIN_LINES, MAX_LINES);
    if lines.len() <= budget {
        return (0..lines.len()).collect();
    }
    let edge = budget * 6 / 10;
    let asked = head + tail;
    let (head, tail) = if asked > edge {
        (edge * head / asked, edge * tail / asked)
    } else {
        (head, tail)
    };
    let mut ranked: [Vec<usize>; 3] = Default::default();
    for index in head..lines.len() - tail {
        let line = lines[index];
        if line.trim().is_empty() {
            continue;
        }
        let rank = if is_heading(line) {
            0
        } else if index > 0 && lines[index - 1].trim().is_empty() || is_list_item(line) {
            1
        } else {
            2
        };
        ranked[rank].push(index);
    }
    let mut chosen: Vec<usize> = (0..head).chain(lines.len() - tail..lines.len()).collect();
    for candidates in ranked {
        let room = budget.saturating_sub(chosen.len());
        if candidates.len() <= room {
            chosen.extend(candidates);
        } else {
            // Evenly spread, without repeats because there are more candidates than places.
            chosen.extend((0..room).map(|step| candidates[step * candidates.len() / room]));
        }
    }
    chosen.sort_unstable();
    chosen
}

fn is_heading(line: &str) -> bool {
    static HEADING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x)^\s*(?:\#{1,6}\s | <h[1-6][\s>] | \[[^\]]+\]\s*$ | [A-Z][A-Z0-9 _-]{3,}:?$
            | (?:pub(?:\([a-z]+\))?\s+|export\s+|default\s+|async\s+|abstract\s+|static\s+)*
              (?:def|class|fn|func|function|struct|enum|trait|impl|interface|type|module|namespace)\s+\w)",
        )
        .expect("constant pattern")
    });
    HEADING.is_match(line)
}

fn is_list_item(line: &str) -> bool {
    let text = line.trim_start();
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    ["- ", "* ", "+ ", "• "].iter().any(|mark| text.starts_with(mark))
        || (digits.len() < text.len() && (digits.starts_with(". ") || digits.starts_with(") ")))
}

/// The line up to the end of its first sentence; code and short lines stay whole.
fn first_sentence(line: &str) -> &str {
    let line = line.trim_end();
    let mut ends = line
        .match_indices(['.', '!', '?'])
        .map(|(at, mark)| at + mark.len());
    ends.find(|end| *end >= 40 && line[*end..].starts_with(' '))
        .map_or(line, |end| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_files_are_shown_whole() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "one\ntwo\n").expect("write");
        let text = skim_display(&path, "a.txt", SkimOptions::default()).expect("text");
        assert_eq!(
            text,
            format!(
                "File: {} (2 lines) - skim 2 lines (target 8.0%)\n\n1: one\n2: two",
                path.display()
            )
        );
    }

    #[test]
    fn structure_wins_and_the_budget_holds() {
        let mut lines: Vec<String> = (0..1000).map(|n| format!("text {n}")).collect();
        lines[500] = "## Heading".to_owned();
        lines[501] = "fn main() {".to_owned();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let chosen = choose(&lines, 8.0, 25, 25);
        assert_eq!(chosen.len(), 80);
        assert!(
            chosen.contains(&0) && chosen.contains(&999) && chosen.contains(&500) && chosen.contains(&501)
        );
        assert!(chosen.is_sorted_by(|a, b| a < b));
        assert_eq!(choose(&lines, 25.0, 500, 500).len(), 200);
        assert_eq!(choose(&lines, 1.0, 0, 0).len(), 20);
        assert!(choose(&["x"; 21], 1.0, 500, 0).len() <= 20);
    }

    #[test]
    fn long_lines_end_with_their_first_sentence() {
        let line = "This is a rather long first sentence of a text. And here the second one begins.";
        assert_eq!(
            first_sentence(line),
            "This is a rather long first sentence of a text."
        );
        assert_eq!(first_sentence("a. b. c"), "a. b. c");
    }
}
