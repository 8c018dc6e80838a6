//! What a source file declares, with line ranges.
//!
//! Every language is read by a parser, HTML by its tokenizer.

mod markup;
mod r;
mod rust;
mod script;
mod tree;

use std::fmt::Write as _;

use crate::file_ops::family::extension_of;

/// Part of the outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Imports,
    Classes,
    Functions,
    Other,
}

impl Section {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Imports, "Imports"),
        (Self::Classes, "Classes"),
        (Self::Functions, "Functions"),
        (Self::Other, "Other"),
    ];
}

/// One declaration; `depth` 1 is inside the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) section: Section,
    pub(crate) depth: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) text: String,
}

/// All declarations of a file, in file order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    pub(crate) items: Vec<Item>,
    pub(crate) relations: Vec<String>,
    pub(crate) diagnostics: Vec<String>,
}

/// A language that can be outlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    JavaScript,
    TypeScript,
    Rust,
    R,
    Html,
}

impl Language {
    /// By name or alias.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "python" | "py" => Some(Self::Python),
            "javascript" | "js" | "jsx" | "node" => Some(Self::JavaScript),
            "typescript" | "ts" | "tsx" => Some(Self::TypeScript),
            "rust" | "rs" => Some(Self::Rust),
            "r" => Some(Self::R),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// By file name.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        match extension_of(name).as_str() {
            "py" | "pyi" | "pyw" => Some(Self::Python),
            "js" | "jsx" | "mjs" | "cjs" => Some(Self::JavaScript),
            "ts" | "tsx" | "mts" | "cts" => Some(Self::TypeScript),
            "rs" => Some(Self::Rust),
            "r" => Some(Self::R),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Rust => "rust",
            Self::R => "r",
            Self::Html => "html",
        }
    }
}

/// Outlines a source.
pub(crate) fn outline(language: Language, source: &str) -> Outline {
    match language {
        Language::Python => crate::python::outline(source),
        Language::Html => markup::outline(source),
        Language::JavaScript => script::outline(source, false),
        Language::TypeScript => script::outline(source, true),
        Language::Rust => rust::outline(source),
        Language::R => r::outline(source),
    }
}

/// Longest outline; a file with more declarations is generated code.
const MAX_ITEMS: usize = 600;

impl Outline {
    /// Sections with their lines, `<first>-<last>: <declaration>`.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let mut room = MAX_ITEMS;
        for (section, title) in Section::ALL {
            let items: Vec<&Item> = self.items.iter().filter(|item| item.section == section).collect();
            if items.is_empty() {
                continue;
            }
            let _ = write!(out, "\n\n{title}:");
            for item in items.iter().take(room) {
                let indent = "  ".repeat(item.depth + 1);
                let _ = match item.first == item.last {
                    true => write!(out, "\n{indent}{}: {}", item.first, item.text),
                    false => write!(out, "\n{indent}{}-{}: {}", item.first, item.last, item.text),
                };
            }
            if items.len() > room {
                let _ = write!(out, "\n  ({} more)", items.len() - room);
            }
            room = room.saturating_sub(items.len());
        }
        for (title, lines) in [
            ("Relationships", &self.relations),
            ("Diagnostics", &self.diagnostics),
        ] {
            if !lines.is_empty() {
                let _ = write!(out, "\n\n{title}:");
                for line in lines.iter().take(100) {
                    let _ = write!(out, "\n  {line}");
                }
            }
        }
        if out.is_empty() {
            "\n\n(no declarations found)".to_owned()
        } else {
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(language: Language, source: &str) -> Vec<String> {
        let outline = outline(language, source);
        assert!(!outline.render().is_empty());
        outline
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
            .collect()
    }

    #[test]
    fn python_is_parsed() {
        let source = "import os\nfrom . import a as b\n\nclass Foo(Bar, metaclass=M):\n    @property\n    def x(self) -> int:\n        return 1\n\nasync def main(a,\n    b=2):\n    pass\n";
        assert_eq!(
            lines(Language::Python, source),
            [
                "1-1 import os",
                "2-2 from . import a as b",
                "4-7 class Foo(Bar, metaclass=M)",
                " 6-7 def x(self)",
                "9-11 async def main(a, b=2)",
            ]
        );
        let broken = outline(Language::Python, "def f(:\n  pass\n");
        assert!(broken.diagnostics[0].starts_with("line 1: "));
        assert_eq!(
            outline(Language::Python, "class A(B): pass").relations,
            ["A inherits B"]
        );
    }

    #[test]
    fn script_is_outlined() {
        let source = "import x from 'y';\nconst fs = require('fs');\n// class No {\nexport class Foo extends Bar {\n  #p = `}${ {a: '{'} }`;\n  async run(a, b) {\n    if (a) { return /}/; }\n  }\n  get v() { return 1; }\n}\nexport default async function main() {\n}\nexport const add = (a, b) => a + b;\ninterface Shape {\n  area(): number;\n}\n";
        assert_eq!(
            lines(Language::TypeScript, source),
            [
                "1-1 import x from 'y';",
                "2-2 const fs = require('fs');",
                "4-10 export class Foo extends Bar",
                " 6-8 async run(a, b)",
                " 9-9 get v()",
                "11-12 export default async function main()",
                "13-13 export const add = (a, b) => a + b;",
                "14-16 interface Shape",
            ]
        );
    }

    #[test]
    fn rust_and_r_are_outlined() {
        let source = "use std::fmt;\npub struct A<'a> {\n    x: &'a str,\n}\nimpl<'a> A<'a> {\n    pub async fn f(&self) -> char {\n        '{'\n    }\n}\nfn g() { let s = r#\"}\"#; }\n";
        assert_eq!(
            lines(Language::Rust, source),
            [
                "1-1 use std::fmt;",
                "2-4 pub struct A<'a>",
                "5-9 impl<'a> A<'a>",
                " 6-8 pub async fn f(&self) -> char",
                "10-10 fn g()",
            ]
        );
        assert_eq!(
            lines(Language::R, "library(dplyr)\nf <- function(x) {\n  x # }\n}\n"),
            ["1-1 library(dplyr)", "2-4 f <- function(x)"]
        );
    }

    #[test]
    fn rust_traits_modules_and_macros() {
        let source = "mod m {\n    pub(crate) trait T: U {\n        fn need(&self);\n        fn has(&self) {}\n    }\n}\npub struct W(u8);\nimpl<A> m::T for W\nwhere\n    A: Copy,\n{\n    fn need(&self) {}\n}\nmacro_rules! mac {\n    () => {};\n}\nextern \"C\" {\n    fn c(x: i32);\n}\nconst N: u8 = 1;\n";
        assert_eq!(
            lines(Language::Rust, source),
            [
                "1-6 mod m",
                " 2-5 pub(crate) trait T: U",
                "  3-3 fn need(&self);",
                "  4-4 fn has(&self)",
                "7-7 pub struct W(u8);",
                "8-13 impl<A> m::T for W where A: Copy,",
                " 12-12 fn need(&self)",
                "14-16 macro_rules! mac",
                "17-19 extern \"C\"",
                " 18-18 fn c(x: i32);",
            ]
        );
        let found = outline(Language::Rust, source);
        assert_eq!(found.relations, ["m::T is implemented for W"]);
        assert!(found.diagnostics.is_empty(), "{:?}", found.diagnostics);
        let broken = outline(Language::Rust, "fn f( {\n}\nfn g() {}\n");
        assert!(!broken.diagnostics.is_empty());
        // Deep nesting must not end the process.
        let _ = outline(Language::Rust, &"mod m { impl A { fn f() {".repeat(2_000));
    }

    #[test]
    fn r_classes_have_methods() {
        let source = "suppressMessages(1)\nP <- R6::R6Class(\"P\",\n  inherit = Q,\n  public = list(\n    x = NULL,\n    initialize = function(x) {\n      self$x <- x\n    },\n    get = \\(y) y\n  )\n)\nsetClass(\"S\", contains = \"numeric\")\nsetMethod(\"area\", \"S\", function(shape) {\n  1\n})\nfunction(z) z -> g\nh = function(a = \"}\") a\n";
        assert_eq!(
            lines(Language::R, source),
            [
                "2-11 P <- R6::R6Class(\"P\",",
                " 6-8 initialize = function(x)",
                " 9-9 get = \\(y) y",
                "12-12 setClass(\"S\",",
                "13-15 setMethod(\"area\", \"S\", function(shape)",
                "17-17 h = function(a = \"}\") a",
            ]
        );
        assert_eq!(
            outline(Language::R, source).relations,
            ["P inherits Q", "S inherits numeric"]
        );
        let _ = outline(Language::R, &"f <- function(x) { list(a = ".repeat(2_000));
    }

    #[test]
    fn html_shows_its_landmarks() {
        let source = "<html>\n<title>T &amp; U</title>\n<script src=\"a.js\"></script>\n<h1>One</h1>\n<script>\nvar x = '<h2>no</h2>';\n</script>\n<h2 id=\"s\">Two</h2>\n";
        assert_eq!(
            lines(Language::Html, source),
            [
                "2-2 title: T & U",
                "3-3 script src=a.js",
                "4-4 h1: One",
                "5-5 script (inline)",
                "8-8 h2 #s: Two"
            ]
        );
    }

    #[test]
    fn unclosed_sources_end_quietly() {
        for language in [
            Language::Python,
            Language::TypeScript,
            Language::Rust,
            Language::R,
            Language::Html,
        ] {
            for source in [
                "",
                "class A {",
                "`${",
                "/*",
                "fn f() { \"",
                "'",
                "r#\"",
                "<h1",
                "é{`",
                "\\",
            ] {
                let _ = outline(language, source).render();
            }
        }
    }
}
