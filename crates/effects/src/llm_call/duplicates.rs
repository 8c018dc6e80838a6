//! Files that the conversation shows more than once are shown once.

use std::collections::HashSet;

use ag_providers::{ChatMessage, MessageContent, Role};

/// Replaces tool results that repeat an earlier one (same file, same content, same lines) by a short reference. The
/// first occurrence stays. Equal text of a result means all three, because it begins with the file's name and its
/// lines are numbered.
pub(super) fn collapse(messages: &mut [ChatMessage]) {
    let mut seen: HashSet<String> = HashSet::new();
    for message in messages.iter_mut().filter(|message| message.role == Role::Tool) {
        let MessageContent::Text(text) = &message.content else {
            continue;
        };
        let Some(shown) = Shown::parse(text) else { continue };
        if seen.contains(text) {
            message.content = shown.reference().into();
        } else {
            seen.insert(text.clone());
        }
    }
}

/// A file as a tool result shows it.
struct Shown<'a> {
    tool: &'a str,
    name: &'a str,
    lines: Option<(u64, u64)>,
}

impl<'a> Shown<'a> {
    /// `[read_file]: File: <path> (n lines)` or `[open_attachment]: Attachment: <handle> (id=...)`, then numbered
    /// lines.
    fn parse(text: &'a str) -> Option<Self> {
        let (tool, rest) = text.strip_prefix('[')?.split_once("]: ")?;
        let rest = match tool {
            "read_file" => rest.strip_prefix("File: ")?,
            "open_attachment" => rest.strip_prefix("Attachment: ")?,
            _ => return None,
        };
        let (header, body) = rest.split_once('\n')?;
        let name = header.rfind(" (").map_or(header, |at| &header[..at]);
        let numbers = || {
            body.lines()
                .filter_map(|line| line.split_once(':')?.0.trim().parse::<u64>().ok())
        };
        let lines = numbers().next().zip(numbers().next_back());
        Some(Self { tool, name, lines })
    }

    fn reference(&self) -> String {
        let lines = self
            .lines
            .map_or(String::new(), |(first, last)| format!(" lines {first}-{last}"));
        format!(
            "[{}]: (duplicate) File already shown above: {}{lines}. Call {} again if you need it here once more.",
            self.tool, self.name, self.tool
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_showing_stays() {
        let text = "[read_file]: File: /w/a.txt (2 lines)\n\n1: one\n2: two";
        let other = "[read_file]: File: /w/a.txt (2 lines)\n\n2: two";
        let plain = "[execute_command]: File: same";
        let mut messages: Vec<_> = [text, other, text, plain, plain]
            .map(|text| ChatMessage::tool("c", text))
            .into();
        messages.push(ChatMessage::user(text));
        collapse(&mut messages);
        let texts: Vec<_> = messages.iter().map(|message| message.content.text()).collect();
        assert_eq!(&texts[..2], [text, other]);
        assert!(
            texts[2].starts_with("[read_file]: (duplicate) File already shown above: /w/a.txt lines 1-2."),
            "{}",
            texts[2]
        );
        assert_eq!(&texts[3..], [plain, plain, text]);
    }
}
