//! Text as paragraphs.

/// How a paragraph looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Above everything.
    Title,
    /// `#`, `##`, and more.
    Heading(u8),
    /// Flowing text.
    Body,
    /// With a dot before it.
    Item,
}

/// A paragraph; its text has no line ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) style: Style,
    pub(super) text: String,
}

/// The paragraphs of a text.
pub(super) fn blocks(text: &str, title: Option<&str>) -> Vec<Block> {
    let mut blocks = Vec::new();
    blocks.extend(title.map(|title| Block {
        style: Style::Title,
        text: words(title),
    }));
    // Whether the next plain line goes on with the last block.
    let mut open = false;
    for line in text.lines() {
        let line = line.trim();
        let (style, text) = match marked(line) {
            Some(found) => found,
            None => (Style::Body, line),
        };
        let text = words(text);
        if text.is_empty() {
            open = false;
            continue;
        }
        match blocks.last_mut() {
            Some(last) if open && style == Style::Body => {
                last.text.push(' ');
                last.text.push_str(&text);
            }
            _ => blocks.push(Block { style, text }),
        }
        open = matches!(style, Style::Body | Style::Item);
    }
    blocks
}

fn marked(line: &str) -> Option<(Style, &str)> {
    if let Some(item) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some((Style::Item, item));
    }
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let heading = line.get(level..)?.strip_prefix(' ')?;
    match u8::try_from(level) {
        Ok(level @ 1..=6) => Some((Style::Heading(level), heading)),
        _ => None,
    }
}

/// One blank between words; control characters are none of the text.
fn words(text: &str) -> String {
    let shown = |word: &str| word.chars().filter(|c| !c.is_control()).collect::<String>();
    let words: Vec<String> = text.split_whitespace().map(shown).collect();
    words.join(" ").trim().to_owned()
}
