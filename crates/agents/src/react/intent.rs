//! Tells an announced action ("Let me read the file.") from an answer.

/// Longer texts carry content of their own, whatever their last sentence says.
const MAX_BYTES: usize = 1_500;

/// Words before the announcement that do not change its meaning.
const OPENERS: [&str; 17] = [
    "ok",
    "okay",
    "sure",
    "great",
    "alright",
    "right",
    "certainly",
    "first",
    "next",
    "now",
    "then",
    "so",
    "to",
    "start",
    "begin",
    "and",
    "but",
];

/// First persons of intention, as lower-case words.
const INTENTIONS: [&[&str]; 11] = [
    &["let", "me"],
    &["i", "will"],
    &["i'll"],
    &["i", "am", "going", "to"],
    &["i'm", "going", "to"],
    &["i", "need", "to"],
    &["i", "have", "to"],
    &["i", "should"],
    &["i", "must"],
    &["i", "am", "about", "to"],
    &["i'm", "about", "to"],
];

/// Words that may stand between intention and action.
const FILLERS: [&str; 10] = [
    "now", "first", "next", "then", "start", "begin", "by", "also", "just", "quickly",
];

/// What an agent does with tools.
const ACTIONS: [&str; 37] = [
    "read",
    "search",
    "look",
    "check",
    "list",
    "open",
    "run",
    "execute",
    "write",
    "create",
    "edit",
    "update",
    "modify",
    "fix",
    "inspect",
    "examine",
    "explore",
    "analyze",
    "analyse",
    "review",
    "scan",
    "find",
    "locate",
    "fetch",
    "browse",
    "query",
    "call",
    "use",
    "test",
    "verify",
    "gather",
    "load",
    "retrieve",
    "download",
    "investigate",
    "send",
    "delegate",
];

/// Marks of a text that claims to be complete.
const FINAL_MARKS: [&str; 6] = [
    "final answer",
    "in summary",
    "in conclusion",
    "to summarize",
    "to summarise",
    "summary:",
];

/// True when the text announces an action in the first person and is neither an answer, nor a question, nor a
/// document with headings.
pub(super) fn announces_action(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES || text.ends_with('?') {
        return false;
    }
    if text.lines().any(|line| line.trim_start().starts_with('#')) || text.contains("```") {
        return false;
    }
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    if FINAL_MARKS.iter().any(|mark| lower.contains(mark)) {
        return false;
    }
    let sentences = sentences(&lower);
    let Some((first, rest)) = sentences.split_first() else {
        return false;
    };
    // An announcement at the end, or one that only a list of its steps follows.
    let last = rest.last().unwrap_or(first);
    is_intention(last.text) || (is_intention(first.text) && rest.iter().all(|sentence| sentence.is_list_item))
}

struct Sentence<'t> {
    text: &'t str,
    is_list_item: bool,
}

fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut out = Vec::new();
    for line in text.lines() {
        let item = line.trim_start();
        let digits = item.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_numbered = digits.len() < item.len() && (digits.starts_with(". ") || digits.starts_with(") "));
        let is_list_item =
            is_numbered || item.starts_with("- ") || item.starts_with("* ") || item.starts_with("• ");
        if is_list_item {
            out.push(Sentence {
                text: item,
                is_list_item,
            });
            continue;
        }
        // A full stop inside a file name ends nothing, so a space must follow it.
        let mut from = 0;
        for (at, mark) in item.match_indices(['.', '!', ':', ';']) {
            let end = at + mark.len();
            if item[end..].starts_with(char::is_whitespace) || end == item.len() {
                push(&mut out, &item[from..at]);
                from = end;
            }
        }
        push(&mut out, &item[from..]);
    }
    out
}

fn push<'t>(out: &mut Vec<Sentence<'t>>, text: &'t str) {
    let text = text.trim();
    if !text.is_empty() {
        out.push(Sentence {
            text,
            is_list_item: false,
        });
    }
}

fn is_intention(sentence: &str) -> bool {
    let words: Vec<&str> = sentence
        .split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .take(12)
        .collect();
    let mut words = words.as_slice();
    while let Some((_, rest)) = words.split_first().filter(|(word, _)| OPENERS.contains(word)) {
        words = rest;
    }
    let Some(after) = INTENTIONS.iter().find_map(|start| words.strip_prefix(*start)) else {
        return false;
    };
    after
        .iter()
        .find(|word| !FILLERS.contains(word))
        .is_some_and(|word| {
            let stem = word.strip_suffix("ing").unwrap_or(word);
            ACTIONS.contains(word) || ACTIONS.contains(&stem)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements() {
        for text in [
            "Let me read the file.",
            "I'll check info.txt now",
            "Okay, I will first search the folder.",
            "The file is missing. Let me look elsewhere:",
            "I\u{2019}m going to start by listing the files.",
            "I need to run the tests:\n- unit\n- end to end",
        ] {
            assert!(announces_action(text), "{text}");
        }
    }

    #[test]
    fn answers() {
        for text in [
            "",
            "done with two",
            "Let me know if you need more.",
            "Should I read the file? I will check it if you say so?",
            "I'll read the file first. The colour is teal.",
            "# Plan\nI will read the file.",
            "Final answer: I will check nothing.",
            "I will always love you.",
            "He said: they will read it.",
        ] {
            assert!(!announces_action(text), "{text}");
        }
        assert!(!announces_action(&"Let me read it. ".repeat(200)));
    }
}
