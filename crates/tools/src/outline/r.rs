//! R, read by its tree-sitter grammar. What R calls a class is a call; its methods are arguments.

use tree_sitter::Node;

use super::tree::{MAX_DEPTH, Reader, one_line};
use super::{Outline, Section, tree};

/// Outlines a source.
pub(super) fn outline(source: &str) -> Outline {
    let Some(tree) = tree::parse(source, tree_sitter_r::LANGUAGE.into()) else {
        return Outline::default();
    };
    let mut reader = Reader::new(source);
    let root = tree.root_node();
    let mut cursor = root.walk();
    for statement in root.named_children(&mut cursor) {
        reader.r_statement(statement);
    }
    reader.errors(&tree);
    reader.outline
}

impl Reader<'_> {
    fn r_statement(&mut self, statement: Node<'_>) {
        match statement.kind() {
            "call" => self.r_call(statement, statement, None),
            "binary_operator" => {
                let side = |name: &str| statement.child_by_field_name(name);
                let (Some(left), Some(right)) = (side("lhs"), side("rhs")) else {
                    return;
                };
                let operator = side("operator").map_or("", |operator| self.text(operator));
                let (name, value) = match operator {
                    "<-" | "<<-" | "=" | ":=" => (left, right),
                    "->" | "->>" => (right, left),
                    _ => return,
                };
                match value.kind() {
                    "function_definition" => self.add(Section::Functions, 0, statement, braced(value)),
                    "call" => self.r_call(value, statement, Some(name)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// `whole` is the call with the assignment around it, `name` what it is assigned to.
    fn r_call(&mut self, call: Node<'_>, whole: Node<'_>, name: Option<Node<'_>>) {
        let function = call.child_by_field_name("function");
        let function = function.map_or("", |function| self.text(function));
        match function.rsplit("::").next().unwrap_or_default() {
            "library" | "require" | "source" | "requireNamespace" | "loadNamespace" => {
                self.add(Section::Imports, 0, whole, None);
            }
            "setMethod" | "setGeneric" | "setReplaceMethod" | "setValidity" => {
                self.add(
                    Section::Functions,
                    0,
                    whole,
                    first_function(call).and_then(braced),
                );
            }
            "setClass" | "setRefClass" | "R6Class" => {
                let arguments = call.child_by_field_name("arguments");
                let given = arguments.map(given).unwrap_or_default();
                self.add(Section::Classes, 0, whole, given.get(1).copied());
                if let Some(arguments) = arguments {
                    let first = given.first().copied();
                    let shown = name.or(first).map(|name| plain(self.text(name)).to_owned());
                    self.r_members(arguments, &shown.unwrap_or_default(), 1);
                }
            }
            _ => {}
        }
    }

    /// Methods, which are named arguments of the class or of a list in it, and the class it inherits from.
    fn r_members(&mut self, arguments: Node<'_>, class: &str, level: usize) {
        let mut cursor = arguments.walk();
        for argument in arguments.named_children(&mut cursor) {
            let Some(value) = argument.child_by_field_name("value") else {
                continue;
            };
            let name = argument.child_by_field_name("name");
            match (name.map_or("", |name| self.text(name)), value.kind()) {
                ("", _) => {}
                ("inherit" | "contains", _) => {
                    let base = plain(&one_line(self.text(value))).to_owned();
                    self.outline.relations.push(format!("{class} inherits {base}"));
                }
                (_, "function_definition") => self.add(Section::Classes, 1, argument, braced(value)),
                (_, "call") if level < MAX_DEPTH => {
                    if let Some(inner) = value.child_by_field_name("arguments") {
                        self.r_members(inner, class, level + 1);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The arguments without what stands between them.
fn given(arguments: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = arguments.walk();
    let all = arguments.named_children(&mut cursor);
    all.filter(|node| node.kind() == "argument").collect()
}

/// The block of a function, where it has one.
fn braced(function: Node<'_>) -> Option<Node<'_>> {
    let body = function.child_by_field_name("body");
    body.filter(|body| body.kind() == "braced_expression")
}

/// The first argument of a call that is a function.
fn first_function(call: Node<'_>) -> Option<Node<'_>> {
    let arguments = call.child_by_field_name("arguments")?;
    let mut cursor = arguments.walk();
    let values = arguments
        .named_children(&mut cursor)
        .filter_map(|argument| argument.child_by_field_name("value"));
    values
        .into_iter()
        .find(|value| value.kind() == "function_definition")
}

fn plain(text: &str) -> &str {
    text.trim_matches(['"', '\'', '`'])
}
