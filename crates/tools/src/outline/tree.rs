//! What the outlines by tree-sitter grammars share. A broken source still has an outline: the parser carries on behind an
//! error and says where it was.

use tree_sitter::{Language, Node, Parser, Tree};

use super::{Item, Outline, Section};
use crate::text::cut;

/// Declarations inside declarations that are shown: a class in a namespace in a module.
pub(super) const MAX_DEPTH: usize = 6;
const MAX_DIAGNOSTICS: usize = 10;
/// Nodes looked at for errors; a source full of them needs no list of all.
const MAX_VISITED: usize = 200_000;
const MAX_TEXT_CHARS: usize = 200;

/// Parses a source; `None` when the grammar does not fit the parser, which never happens with the grammars here.
pub(super) fn parse(source: &str, grammar: Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&grammar).ok()?;
    parser.parse(source, None)
}

/// Collects declarations of a source.
pub(super) struct Reader<'s> {
    pub(super) source: &'s str,
    pub(super) outline: Outline,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            source,
            outline: Outline::default(),
        }
    }

    /// A declaration: its text ends before its body.
    pub(super) fn add(&mut self, section: Section, depth: usize, whole: Node<'_>, body: Option<Node<'_>>) {
        let end = body.map_or(whole.end_byte(), |body| body.start_byte());
        let text = self.source.get(whole.start_byte()..end).unwrap_or_default();
        let text = one_line(text);
        let text = text.trim_end_matches('=').trim_end();
        self.outline.items.push(Item {
            section,
            depth,
            first: whole.start_position().row + 1,
            last: last_line(whole),
            text: cut(text, MAX_TEXT_CHARS),
        });
    }

    pub(super) fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    /// Where the parser had to guess.
    pub(super) fn errors(&mut self, tree: &Tree) {
        if !tree.root_node().has_error() {
            return;
        }
        let mut cursor = tree.walk();
        for _ in 0..MAX_VISITED {
            let node = cursor.node();
            if node.is_error() || node.is_missing() {
                let line = node.start_position().row + 1;
                let what = match node.is_missing() {
                    true => format!("missing {}", node.kind()),
                    false => "syntax error".to_owned(),
                };
                self.outline.diagnostics.push(format!("line {line}: {what}"));
                if self.outline.diagnostics.len() >= MAX_DIAGNOSTICS {
                    return;
                }
            }
            if node.has_error() && !node.is_error() && cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
            }
        }
    }
}

/// A declaration that ends at the very beginning of a line ends on the one before.
fn last_line(node: Node<'_>) -> usize {
    let end = node.end_position();
    let row = end.row + usize::from(end.column > 0);
    row.max(node.start_position().row + 1)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
