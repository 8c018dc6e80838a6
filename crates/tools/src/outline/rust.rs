//! Rust, read by its tree-sitter grammar.

use tree_sitter::Node;

use super::tree::{MAX_DEPTH, Reader, one_line};
use super::{Outline, Section, tree};

/// Outlines a source.
pub(super) fn outline(source: &str) -> Outline {
    let Some(tree) = tree::parse(source, tree_sitter_rust::LANGUAGE.into()) else {
        return Outline::default();
    };
    let mut reader = Reader::new(source);
    reader.rust_items(tree.root_node(), 0, None);
    reader.errors(&tree);
    reader.outline
}

impl Reader<'_> {
    /// Items of a file, a module, a trait or an implementation; `inside` is the section of the last two, whose
    /// functions are shown with them.
    fn rust_items(&mut self, block: Node<'_>, depth: usize, inside: Option<Section>) {
        let mut cursor = block.walk();
        for item in block.named_children(&mut cursor) {
            self.rust_item(item, depth, inside);
        }
    }

    fn rust_item(&mut self, item: Node<'_>, depth: usize, inside: Option<Section>) {
        let body = item.child_by_field_name("body");
        let (section, holds) = match item.kind() {
            "use_declaration" | "extern_crate_declaration" => {
                return self.add(Section::Imports, depth, item, None);
            }
            "struct_item" | "enum_item" | "union_item" => {
                // The fields of a tuple are part of what is shown.
                let body = body.filter(|body| body.kind() != "ordered_field_declaration_list");
                return self.add(Section::Classes, depth, item, body);
            }
            "trait_item" | "impl_item" => (Section::Classes, true),
            "mod_item" | "foreign_mod_item" => (Section::Other, true),
            "macro_definition" => {
                let name = item.child_by_field_name("name");
                return self.add(
                    Section::Other,
                    depth,
                    item,
                    name.and_then(|name| name.next_sibling()),
                );
            }
            "function_item" | "function_signature_item" => (inside.unwrap_or(Section::Functions), false),
            _ => return,
        };
        self.add(section, depth, item, body);
        if let (Some(of), Some(name)) = (
            item.child_by_field_name("trait"),
            item.child_by_field_name("type"),
        ) {
            let (of, name) = (one_line(self.text(of)), one_line(self.text(name)));
            self.outline
                .relations
                .push(format!("{of} is implemented for {name}"));
        }
        if let Some(body) = body.filter(|_| holds && depth < MAX_DEPTH) {
            let inside = (section == Section::Classes).then_some(Section::Classes);
            self.rust_items(body, depth + 1, inside);
        }
    }
}
