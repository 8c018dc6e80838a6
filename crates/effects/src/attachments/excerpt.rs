//! Parts of a text with line numbers.

use std::fmt::Write as _;

/// Texts up to this size are shown whole when nothing narrower is asked for.
const WHOLE_BYTES: usize = 50_000;
/// Characters shown by default.
pub(super) const DEFAULT_CHARS: i64 = 8000;

/// What is asked for; lines are 1-based and inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) end: Option<i64>,
    /// 0 or less: no limit.
    pub(super) max_chars: i64,
}

/// What is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The text itself.
    pub(super) content: String,
    /// The same with right-aligned line numbers.
    pub(super) numbered: String,
    pub(super) start: usize,
    pub(super) end: usize,
    /// True when the budget ended it before the range did.
    pub(super) truncated: bool,
}

impl Range {
    fn budget(self, text: &str) -> usize {
        let whole = self.start <= 1 && self.end.is_none() && self.max_chars == DEFAULT_CHARS;
        if self.max_chars <= 0 || (whole && text.len() <= WHOLE_BYTES) {
            return usize::MAX;
        }
        usize::try_from(self.max_chars).unwrap_or(usize::MAX)
    }
}

/// Cuts the excerpt at whole lines; a first line that alone exceeds the budget is cut inside.
///
/// # Errors
/// A text for the model when the range is not in the text.
pub(super) fn cut(text: &str, range: Range) -> Result<Excerpt, String> {
    let total = text.lines().count();
    let start = usize::try_from(range.start.max(1)).unwrap_or(usize::MAX);
    if let Some(end) = range.end.filter(|end| *end < range.start.max(1)) {
        return Err(format!(
            "start_line ({start}) cannot be greater than end_line ({end})"
        ));
    }
    if start > total.max(1) {
        return Err(format!("Start line {start} exceeds file length ({total} lines)"));
    }
    let last = range
        .end
        .and_then(|end| usize::try_from(end).ok())
        .unwrap_or(total)
        .min(total);
    let width = last.max(1).to_string().len();
    let mut left = range.budget(text);
    let mut excerpt = Excerpt {
        content: String::new(),
        numbered: String::new(),
        start,
        end: last,
        truncated: false,
    };
    for (number, line) in (1..=last).zip(text.lines()).skip(start - 1) {
        let chars = line.chars().count().saturating_add(1);
        let first = number == start;
        if chars > left && !first {
            excerpt.end = number - 1;
            excerpt.truncated = true;
            break;
        }
        let kept = match line.char_indices().nth(left) {
            Some((at, _)) => {
                excerpt.truncated = true;
                &line[..at]
            }
            None => line,
        };
        if !first {
            excerpt.content.push('\n');
            excerpt.numbered.push('\n');
        }
        excerpt.content.push_str(kept);
        // Writing to a string cannot fail.
        let _ = write!(excerpt.numbered, "{number:>width$}: {kept}");
        left = left.saturating_sub(chars);
        if excerpt.truncated {
            excerpt.end = number;
            break;
        }
    }
    Ok(excerpt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: Option<i64>, max_chars: i64) -> Range {
        Range {
            start,
            end,
            max_chars,
        }
    }

    #[test]
    fn excerpts_end_at_lines() {
        let text = "one\ntwo\nthree\nfour\n";
        for (asked, content, end, truncated) in [
            (range(1, None, DEFAULT_CHARS), "one\ntwo\nthree\nfour", 4, false),
            (range(2, Some(3), DEFAULT_CHARS), "two\nthree", 3, false),
            (range(0, Some(99), 0), "one\ntwo\nthree\nfour", 4, false),
            (range(1, None, 8), "one\ntwo", 2, true),
            (range(3, None, 2), "th", 3, true),
        ] {
            let excerpt = cut(text, asked).expect("in range");
            assert_eq!(
                (excerpt.content.as_str(), excerpt.end, excerpt.truncated),
                (content, end, truncated),
                "{asked:?}"
            );
        }
        assert_eq!(cut("", range(1, None, 8)).expect("empty").content, "");
    }

    #[test]
    fn numbers_are_aligned_and_small_files_whole() {
        let text = "x\n".repeat(12);
        let excerpt = cut(&text, range(9, Some(10), DEFAULT_CHARS)).expect("lines");
        assert_eq!(excerpt.numbered, " 9: x\n10: x");
        let long = "0123456789\n".repeat(4000);
        assert!(
            !cut(&long, range(1, None, DEFAULT_CHARS))
                .expect("whole")
                .truncated
        );
        assert!(cut(&long, range(2, None, DEFAULT_CHARS)).expect("part").truncated);
        assert!(
            cut(&long.repeat(2), range(1, None, DEFAULT_CHARS))
                .expect("large")
                .truncated
        );
    }

    #[test]
    fn ranges_outside_are_refused() {
        let error = |asked| cut("a\nb", asked).expect_err("refused");
        assert_eq!(
            error(range(9, None, 0)),
            "Start line 9 exceeds file length (2 lines)"
        );
        assert_eq!(
            error(range(2, Some(1), 0)),
            "start_line (2) cannot be greater than end_line (1)"
        );
    }
}
