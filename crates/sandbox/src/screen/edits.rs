//! Replacements of byte ranges, applied in one go.

use std::{borrow::Cow, ops::Range};

/// Collected replacements; ranges refer to the untouched text.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, Cow<'static, str>)>);

impl Edits {
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<Cow<'static, str>>) {
        self.0.push((range, text.into()));
    }

    pub(super) fn insert(&mut self, offset: usize, text: &'static str) {
        self.replace(offset..offset, text);
    }

    /// The text with all replacements; one that lies inside an earlier, larger one is dropped.
    pub(super) fn apply(mut self, source: &str) -> String {
        // Longest first at the same start, so that the enclosing replacement wins; an insertion at
        // the start of a kept range sorts after the (non-empty) edit that ends there.
        self.0
            .sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut result = String::with_capacity(source.len() + self.0.len() * 16);
        let mut position = 0;
        for (range, text) in self.0 {
            if range.start < position {
                continue;
            }
            result.push_str(&source[position..range.start]);
            result.push_str(&text);
            position = range.end;
        }
        result.push_str(&source[position..]);
        result
    }
}
