//! What is derived from a text that comes without: a summary and keywords.

use std::collections::HashMap;

const MAX_SUMMARY_CHARS: usize = 240;
const MAX_KEYWORDS: usize = 12;
/// Shorter words say little.
const MIN_WORD_CHARS: usize = 4;

/// Words that every text has.
const COMMON: [&str; 24] = [
    "this", "that", "with", "from", "have", "will", "your", "they", "them", "then", "than", "were", "been",
    "when", "what", "which", "where", "their", "there", "these", "those", "would", "could", "should",
];

/// The beginning, on one line.
pub(super) fn summary(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SUMMARY_CHARS) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => line,
    }
}

/// The most frequent words, equally frequent ones by the alphabet.
pub(super) fn keywords(text: &str) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let word = word.to_lowercase();
        if word.chars().count() >= MIN_WORD_CHARS && !COMMON.contains(&word.as_str()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut words: Vec<(String, usize)> = counts.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    words
        .into_iter()
        .take(MAX_KEYWORDS)
        .map(|(word, _)| word)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded on the reference.
    #[test]
    fn derived_from_the_text() {
        let text = "Hello world. This is text\nabout rivers and rivers.";
        assert_eq!(
            summary(text),
            "Hello world. This is text about rivers and rivers."
        );
        assert_eq!(keywords(text), ["rivers", "about", "hello", "text", "world"]);
        assert!(summary(&"é ".repeat(1000)).chars().count() <= MAX_SUMMARY_CHARS + 3);
    }
}
