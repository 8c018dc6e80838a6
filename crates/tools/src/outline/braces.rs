//! Languages whose blocks are braces.

use std::sync::LazyLock;

use regex::Regex;

use super::mask::{Style, mask};
use super::{Item, Outline, Section};
use crate::text::cut;

/// How declarations look in a language. Patterns see one masked line without its indentation.
#[derive(Debug)]
pub(super) struct Grammar {
    style: Style,
    rules: &'static [Rule],
    /// `<name> inherits <base>`.
    inherits: Option<&'static str>,
    compiled: LazyLock<Compiled>,
}

#[derive(Debug)]
struct Rule {
    section: Section,
    pattern: &'static str,
    /// Its block holds declarations.
    container: bool,
}

#[derive(Debug)]
struct Compiled {
    rules: Vec<Regex>,
    inherits: Option<Regex>,
}

const fn rule(section: Section, pattern: &'static str, container: bool) -> Rule {
    Rule {
        section,
        pattern,
        container,
    }
}

const RUST_RULES: &[Rule] = &[
    rule(Section::Imports, r"^(?:pub(?:\([\w:\s]+\))?\s+)?use\s", false),
    rule(
        Section::Classes,
        r"^(?:pub(?:\([\w:\s]+\))?\s+)?(?:unsafe\s+)?(?:struct|enum|union)\s+\w",
        false,
    ),
    rule(
        Section::Classes,
        r"^(?:pub(?:\([\w:\s]+\))?\s+)?(?:unsafe\s+)?(?:trait\s+\w|impl\b)",
        true,
    ),
    rule(
        Section::Other,
        r"^(?:pub(?:\([\w:\s]+\))?\s+)?(?:mod\s+\w|macro_rules!)",
        true,
    ),
    rule(
        Section::Functions,
        r#"^(?:pub(?:\([\w:\s]+\))?\s+)?(?:default\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?(?:extern\s+)?fn\s+\w"#,
        false,
    ),
];

const R_RULES: &[Rule] = &[
    rule(Section::Imports, r"^(?:library|require|source)\(", false),
    rule(Section::Functions, r"^[\w.]+\s*(?:<-|=)\s*function\s*\(", false),
    rule(
        Section::Classes,
        r"^(?:[\w.]+\s*(?:<-|=)\s*)?(?:setClass|setRefClass|R6Class|R6::R6Class)\(",
        false,
    ),
];

macro_rules! grammar {
    ($name:ident, $style:expr, $rules:expr, $inherits:expr) => {
        pub(super) static $name: Grammar = Grammar {
            style: $style,
            rules: $rules,
            inherits: $inherits,
            compiled: LazyLock::new(|| $name.compile()),
        };
    };
}

grammar!(
    RUST,
    Style::Rust,
    RUST_RULES,
    Some(r"^impl(?:<[^>]*>)?\s+([\w:]+)(?:<[^>]*>)?\s+for\s+([\w:]+)")
);
grammar!(R, Style::R, R_RULES, None);

impl Grammar {
    fn compile(&self) -> Compiled {
        let regex = |pattern: &str| Regex::new(pattern).expect("constant pattern");
        Compiled {
            rules: self.rules.iter().map(|rule| regex(rule.pattern)).collect(),
            inherits: self.inherits.map(regex),
        }
    }
}

pub(super) fn outline(grammar: &Grammar, source: &str) -> Outline {
    let masked = mask(source, grammar.style);
    let mut outline = Outline::default();
    let blocks = Blocks::read(&masked);
    if blocks.unbalanced {
        outline
            .diagnostics
            .push("braces are not balanced; line ranges may be wrong".to_owned());
    }
    // Last lines of the containers that are open.
    let mut containers: Vec<(usize, Section)> = Vec::new();
    let mut depth = 0_usize;
    for (index, (line, original)) in masked.lines().zip(source.lines()).enumerate() {
        let number = index + 1;
        while containers.last().is_some_and(|(end, _)| *end < number) {
            containers.pop();
        }
        let code = line.trim();
        if depth == containers.len() && !code.is_empty() {
            let inside = containers.last().map(|(_, section)| *section);
            if let Some((section, container)) = declaration(grammar, code) {
                // An import may end without a mark.
                let one_line = section == Section::Imports && !code.contains('{');
                let last = if one_line {
                    number
                } else {
                    blocks.end_of(number, &masked)
                };
                let text = signature(original.trim(), section);
                if let Some(found) = grammar
                    .compiled
                    .inherits
                    .as_ref()
                    .and_then(|regex| regex.captures(code))
                {
                    let verb = if grammar.style == Style::Rust {
                        "is implemented for"
                    } else {
                        "inherits"
                    };
                    outline
                        .relations
                        .push(format!("{} {verb} {}", &found[1], &found[2]));
                }
                // What is declared in a class is shown below it.
                let shown = if inside == Some(Section::Classes) {
                    Section::Classes
                } else {
                    section
                };
                outline.items.push(Item {
                    section: shown,
                    depth: containers.len(),
                    first: number,
                    last,
                    text,
                });
                if container && last > number {
                    containers.push((last, section));
                }
            }
        }
        let opened = line.bytes().filter(|byte| *byte == b'{').count();
        let closed = line.bytes().filter(|byte| *byte == b'}').count();
        depth = (depth + opened).saturating_sub(closed);
    }
    outline
}

fn declaration(grammar: &Grammar, code: &str) -> Option<(Section, bool)> {
    let compiled = &grammar.compiled;
    let named = grammar
        .rules
        .iter()
        .zip(&compiled.rules)
        .find(|(_, regex)| regex.is_match(code));
    named.map(|(rule, _)| (rule.section, rule.container))
}

/// The declaration's first line up to its block.
fn signature(line: &str, section: Section) -> String {
    let text = match section {
        Section::Imports => line,
        _ => match line.find('{') {
            Some(at) if at > 0 => line[..at].trim_end(),
            _ => line,
        },
    };
    cut(text, 160)
}

/// Where each line's first block ends.
struct Blocks {
    /// Line of the closing brace by line of the first opening one.
    ends: Vec<Option<usize>>,
    unbalanced: bool,
}

impl Blocks {
    fn read(masked: &str) -> Self {
        let mut ends = vec![None; masked.lines().count() + 2];
        let mut open: Vec<(usize, bool)> = Vec::new();
        let mut unbalanced = false;
        for (index, line) in masked.lines().enumerate() {
            let mut first = true;
            for byte in line.bytes() {
                match byte {
                    b'{' => {
                        open.push((index + 1, first));
                        first = false;
                    }
                    b'}' => match open.pop() {
                        Some((start, true)) => ends[start] = Some(index + 1),
                        Some(_) => {}
                        None => unbalanced = true,
                    },
                    _ => {}
                }
            }
        }
        Self {
            ends,
            unbalanced: unbalanced || !open.is_empty(),
        }
    }

    /// Last line of the declaration that begins on `number`: the end of the first block that opens on it or on one of
    /// the next lines before a statement ends.
    fn end_of(&self, number: usize, masked: &str) -> usize {
        for (index, line) in masked.lines().enumerate().skip(number - 1).take(20) {
            let brace = line.find('{');
            let end = line.find(';');
            match (brace, end) {
                (Some(brace), Some(end)) if end < brace => return index + 1,
                (Some(_), _) => return self.ends[index + 1].unwrap_or(index + 1),
                (None, Some(_)) => return index + 1,
                (None, None) if line.trim().is_empty() => return number,
                (None, None) => {}
            }
        }
        number
    }
}
