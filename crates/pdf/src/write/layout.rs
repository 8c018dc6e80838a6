//! Lines and pages.

use super::block::{Block, Style};
use super::glyphs::{self, BOX};

/// Letter, in points.
pub(super) const PAGE_WIDTH: i64 = 612;
pub(super) const PAGE_HEIGHT: i64 = 792;

const MARGIN: f64 = 57.84;
const TEXT_WIDTH: f64 = PAGE_WIDTH as f64 - 2.0 * MARGIN;
const TOP: f64 = PAGE_HEIGHT as f64 - MARGIN;
/// Blanks of a line may shrink by this part, so that one more word fits.
const SHRINKAGE: f64 = 0.05;
/// Room for the dot of an item.
const ITEM_INDENT: f64 = 12.96;

/// Sizes in points.
struct Look {
    bold: bool,
    size: f64,
    leading: f64,
    after: f64,
}

fn look(style: Style) -> Look {
    let (bold, size, leading, after) = match style {
        Style::Title => (true, 18.0, 22.0, 24.96),
        Style::Heading(1) => (true, 18.0, 22.0, 6.0),
        Style::Heading(2) => (true, 14.0, 18.0, 6.0),
        Style::Heading(_) => (true, 12.0, 14.0, 6.0),
        Style::Item => (false, 10.0, 12.0, 2.0),
        Style::Body => (false, 10.0, 12.0, 5.76),
    };
    Look {
        bold,
        size,
        leading,
        after,
    }
}

/// The content streams of the pages; at least one.
pub(super) fn pages(blocks: &[Block]) -> Vec<Vec<u8>> {
    let mut pages = vec![Vec::new()];
    let mut y = TOP;
    for block in blocks {
        let look = look(block.style);
        let indent = if block.style == Style::Item {
            ITEM_INDENT
        } else {
            0.0
        };
        let lines = lines(&block.text, &look, TEXT_WIDTH - indent);
        for (n, line) in lines.iter().enumerate() {
            if y - look.leading < MARGIN {
                pages.push(Vec::new());
                y = TOP;
            }
            y -= look.leading;
            let Some(page) = pages.last_mut() else { break };
            let baseline = y + (look.leading - look.size).max(0.0);
            if indent > 0.0 && n == 0 {
                show(page, "•", &look, (MARGIN, baseline), 0.0);
            }
            let left = match block.style {
                Style::Title => MARGIN + (TEXT_WIDTH - measure(line, &look)).max(0.0) / 2.0,
                _ => MARGIN + indent,
            };
            let over = (measure(line, &look) - (TEXT_WIDTH - indent)).max(0.0);
            let blanks = line.matches(' ').count().max(1) as f64;
            show(page, line, &look, (left, baseline), -over / blanks);
        }
        y -= look.after;
    }
    pages
}

fn measure(text: &str, look: &Look) -> f64 {
    text.chars().map(|c| advance(c, look)).sum()
}

fn advance(c: char, look: &Look) -> f64 {
    f64::from(glyphs::width(c, look.bold)) / 1000.0 * look.size
}

/// Fills lines word by word; a word that is longer than a line is cut.
fn lines(text: &str, look: &Look, width: f64) -> Vec<String> {
    let blank = advance(' ', look);
    let mut lines = Vec::new();
    let (mut line, mut filled) = (String::new(), 0.0);
    let mut blanks = 0.0;
    for word in text.split(' ') {
        let length = measure(word, look);
        let slack = (blanks + 1.0) * blank * SHRINKAGE;
        if !line.is_empty() && filled + blank + length - slack > width {
            lines.push(std::mem::take(&mut line));
            (filled, blanks) = (0.0, 0.0);
        }
        if !line.is_empty() {
            line.push(' ');
            filled += blank;
            blanks += 1.0;
        }
        for c in word.chars() {
            let advance = advance(c, look);
            if length > width && filled + advance > width {
                lines.push(std::mem::take(&mut line));
                (filled, blanks) = (0.0, 0.0);
            }
            line.push(c);
            filled += advance;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// One line at its place. Runs of characters that the font lacks are boxes whose meaning is said beside them.
fn show(page: &mut Vec<u8>, text: &str, look: &Look, (x, y): (f64, f64), word_space: f64) {
    let font = if look.bold { "F2" } else { "F1" };
    let size = look.size;
    page.extend(format!("BT 1 0 0 1 {x:.2} {y:.2} Tm /{font} {size} Tf {word_space:.4} Tw\n").into_bytes());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let known = glyphs::code(first).is_some();
        let end = rest
            .find(|c| glyphs::code(c).is_some() != known)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if known {
            string(page, run.chars().filter_map(glyphs::code));
            page.extend(b" Tj\n");
        } else {
            page.extend(b"/Span <</ActualText <FEFF");
            let units: String = run.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
            page.extend(units.into_bytes());
            page.extend(format!(">>> BDC /F3 {size} Tf ").into_bytes());
            string(page, run.chars().map(|_| BOX));
            page.extend(format!(" Tj EMC /{font} {size} Tf\n").into_bytes());
        }
    }
    page.extend(b"ET\n");
}

fn string(page: &mut Vec<u8>, codes: impl Iterator<Item = u8>) {
    page.push(b'(');
    for code in codes {
        match code {
            b'(' | b')' | b'\\' => page.extend([b'\\', code]),
            b' '..=b'~' => page.push(code),
            other => page.extend(format!("\\{other:03o}").into_bytes()),
        }
    }
    page.push(b')');
}
