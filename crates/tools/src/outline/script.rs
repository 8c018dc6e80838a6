//! JavaScript and TypeScript, read by their tree-sitter grammars.

use tree_sitter::{Node, Tree};

use super::tree::{MAX_DEPTH, Reader, one_line};
use super::{Outline, Section, tree};

/// Outlines a script; with `types`, as TypeScript.
pub(super) fn outline(source: &str, types: bool) -> Outline {
    let Some(tree) = parse(source, types) else {
        return Outline::default();
    };
    let mut reader = Reader::new(source);
    reader.block(tree.root_node(), 0);
    reader.errors(&tree);
    reader.outline
}

fn parse(source: &str, types: bool) -> Option<Tree> {
    if !types {
        return tree::parse(source, tree_sitter_javascript::LANGUAGE.into());
    }
    let plain = tree::parse(source, tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into())?;
    if !plain.root_node().has_error() {
        return Some(plain);
    }
    // Markup in the source; the other way round, angle-bracket casts would be errors.
    match tree::parse(source, tree_sitter_typescript::LANGUAGE_TSX.into()) {
        Some(markup) if !markup.root_node().has_error() => Some(markup),
        _ => Some(plain),
    }
}

impl Reader<'_> {
    fn block(&mut self, node: Node<'_>, depth: usize) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.statement(child, child, depth);
        }
    }

    /// `whole` is the statement with what is written around the declaration (`export default`).
    fn statement(&mut self, node: Node<'_>, whole: Node<'_>, depth: usize) {
        match node.kind() {
            "import_statement" | "import_alias" => self.add(Section::Imports, depth, whole, None),
            "export_statement" if node.child_by_field_name("source").is_some() => {
                self.add(Section::Imports, depth, whole, None);
            }
            "export_statement" | "ambient_declaration" | "expression_statement" => {
                let mut cursor = node.walk();
                let whole = if node.kind() == "expression_statement" {
                    whole
                } else {
                    node
                };
                for child in node.named_children(&mut cursor) {
                    self.statement(child, whole, depth);
                }
            }
            "function_declaration" | "generator_function_declaration" | "function_signature" => {
                self.add(Section::Functions, depth, whole, node.child_by_field_name("body"));
            }
            "class_declaration" | "abstract_class_declaration" | "class" => self.class(node, whole, depth),
            "interface_declaration" => {
                self.add(Section::Classes, depth, whole, node.child_by_field_name("body"));
                self.relations(node);
            }
            "enum_declaration" => self.add(Section::Classes, depth, whole, node.child_by_field_name("body")),
            "type_alias_declaration" => {
                self.add(Section::Classes, depth, whole, node.child_by_field_name("value"));
            }
            "internal_module" | "module" => {
                let body = node.child_by_field_name("body");
                self.add(Section::Other, depth, whole, body);
                if let Some(body) = body.filter(|_| depth < MAX_DEPTH) {
                    self.block(body, depth + 1);
                }
            }
            "lexical_declaration" | "variable_declaration" => {
                let mut cursor = node.walk();
                for declarator in node.named_children(&mut cursor) {
                    self.variable(declarator, whole, depth);
                }
            }
            _ => {}
        }
    }

    /// Variables count where they hold a module, a function or a class.
    fn variable(&mut self, declarator: Node<'_>, whole: Node<'_>, depth: usize) {
        let Some(value) = declarator.child_by_field_name("value") else {
            return;
        };
        match value.kind() {
            "arrow_function" | "function_expression" | "generator_function" => {
                let body = value.child_by_field_name("body");
                let block = body.filter(|body| body.kind() == "statement_block");
                self.add(Section::Functions, depth, whole, block);
            }
            "class" => {
                self.add(Section::Classes, depth, whole, value.child_by_field_name("body"));
                self.members(value, depth);
            }
            "call_expression" | "await_expression" | "member_expression"
                if self
                    .text(value)
                    .trim_start_matches("await ")
                    .starts_with("require(") =>
            {
                self.add(Section::Imports, depth, whole, None);
            }
            _ => {}
        }
    }

    fn class(&mut self, node: Node<'_>, whole: Node<'_>, depth: usize) {
        self.add(Section::Classes, depth, whole, node.child_by_field_name("body"));
        self.relations(node);
        self.members(node, depth);
    }

    fn members(&mut self, class: Node<'_>, depth: usize) {
        let Some(body) = class.child_by_field_name("body") else {
            return;
        };
        let mut cursor = body.walk();
        for member in body.named_children(&mut cursor) {
            match member.kind() {
                "method_definition" | "method_signature" | "abstract_method_signature" => {
                    self.add(
                        Section::Classes,
                        depth + 1,
                        member,
                        member.child_by_field_name("body"),
                    );
                }
                "field_definition" | "public_field_definition" => {
                    let value = member.child_by_field_name("value");
                    if let Some(value) = value.filter(|value| value.kind() == "arrow_function") {
                        let body = value.child_by_field_name("body");
                        let block = body.filter(|body| body.kind() == "statement_block");
                        self.add(Section::Classes, depth + 1, member, block);
                    }
                }
                _ => {}
            }
        }
    }

    /// `A inherits B`, `A implements C`.
    fn relations(&mut self, node: Node<'_>) {
        let Some(name) = node.child_by_field_name("name") else {
            return;
        };
        let name = self.text(name).to_owned();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            match child.kind() {
                "class_heritage" => {
                    let mut inner = child.walk();
                    let mut plain = true;
                    for clause in child.named_children(&mut inner) {
                        let verb = match clause.kind() {
                            "extends_clause" => "inherits",
                            "implements_clause" => "implements",
                            _ => continue,
                        };
                        plain = false;
                        self.relate(&name, verb, clause);
                    }
                    if plain {
                        self.relate(&name, "inherits", child);
                    }
                }
                "extends_type_clause" => self.relate(&name, "inherits", child),
                _ => {}
            }
        }
    }

    fn relate(&mut self, name: &str, verb: &str, clause: Node<'_>) {
        let mut cursor = clause.walk();
        for base in clause.named_children(&mut cursor) {
            if base.kind() != "type_arguments" {
                let base = one_line(self.text(base));
                self.outline.relations.push(format!("{name} {verb} {base}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_namespaces_and_relations() {
        let source = "declare module 'm' {\n  export function f(a: string): void;\n}\nnamespace N {\n  export class A<T> extends B<T> implements C, D {\n    private x = (y: number) => {\n      return y;\n    };\n    abstract m(): void;\n  }\n}\nexport type U = { a: 1 };\nenum E { X }\ninterface I extends J {}\nconst f2 = function (a) {\n};\n";
        let outline = outline(source, true);
        let lines: Vec<String> = outline
            .items
            .iter()
            .map(|item| {
                format!(
                    "{}{}-{} {}",
                    " ".repeat(item.depth),
                    item.first,
                    item.last,
                    item.text
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "1-3 declare module 'm'",
                " 2-2 export function f(a: string): void;",
                "4-11 namespace N",
                " 5-10 export class A<T> extends B<T> implements C, D",
                "  6-8 private x = (y: number) =>",
                "  9-9 abstract m(): void",
                "12-12 export type U",
                "13-13 enum E",
                "14-14 interface I extends J",
                "15-16 const f2 = function (a)",
            ]
        );
        assert_eq!(
            outline.relations,
            ["A inherits B", "A implements C", "A implements D", "I inherits J"]
        );
        assert!(outline.diagnostics.is_empty(), "{:?}", outline.diagnostics);
    }

    #[test]
    fn markup_and_errors() {
        let tsx = super::outline("export const A = () => <div>{'x'}</div>;\n", true);
        assert!(tsx.diagnostics.is_empty(), "{:?}", tsx.diagnostics);
        assert_eq!(tsx.items.len(), 1);
        let broken = super::outline("class A {\n  m( {\n}\nfunction ok() {}\n", false);
        assert!(
            broken.diagnostics[0].starts_with("line "),
            "{:?}",
            broken.diagnostics
        );
        // Deep nesting must not end the process.
        let _ = super::outline(&"[".repeat(20_000), false);
        let _ = super::outline(&"class A{m(){".repeat(2_000), true);
    }
}
