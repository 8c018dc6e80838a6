//! Python source, parsed.
//!
//! The parser bounds its own recursion, but a chain such as `a+a+a…` becomes a tree as deep as the chain is long, and
//! trees are dropped recursively. Parsing therefore happens on a thread whose stack holds the longest chain that
//! [`MAX_BYTES`] of source can make.

use ruff_python_ast::{Alias, PySourceType, Stmt};
use ruff_python_parser::parse_unchecked_source;

use crate::outline::{Item, Outline, Section};
use crate::text::cut;

/// Longer sources are not analysed.
pub(crate) const MAX_BYTES: usize = 512 * 1024;
/// Reserved, not used: pages are touched only as far as a tree is deep.
const STACK_BYTES: usize = 256 * 1024 * 1024;
const MAX_DIAGNOSTICS: usize = 20;
/// Classes and functions nested deeper are not shown.
const MAX_DEPTH: usize = 8;

/// The first syntax error of a source, as `line <n>: <what>`; `None` also when it is too long to judge.
pub(crate) fn syntax_error(source: &str) -> Option<String> {
    if source.len() > MAX_BYTES {
        return None;
    }
    with_stack(|| {
        let parsed = parse_unchecked_source(source, PySourceType::Python);
        parsed.errors().first().map(|error| describe(source, error))
    })
    .flatten()
}

/// Outline of a source of at most [`MAX_BYTES`].
pub(crate) fn outline(source: &str) -> Outline {
    with_stack(|| {
        let parsed = parse_unchecked_source(source, PySourceType::Python);
        let mut reader = Reader {
            source,
            lines: line_starts(source),
            outline: Outline::default(),
        };
        reader.block(parsed.suite(), 0, false);
        let errors = parsed
            .errors()
            .iter()
            .take(MAX_DIAGNOSTICS)
            .map(|error| describe(source, error));
        reader.outline.diagnostics.extend(errors);
        reader.outline
    })
    .unwrap_or_default()
}

fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .ok()?
            .join()
            .ok()
    })
}

fn describe(source: &str, error: &ruff_python_parser::ParseError) -> String {
    let at = error.location.start().to_usize().min(source.len());
    let line = source.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1;
    format!("line {line}: {}", error.error)
}

fn line_starts(source: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(source.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}

struct Reader<'a> {
    source: &'a str,
    lines: Vec<usize>,
    outline: Outline,
}

impl Reader<'_> {
    fn block(&mut self, body: &[Stmt], depth: usize, in_class: bool) {
        if depth > MAX_DEPTH {
            return;
        }
        for statement in body {
            match statement {
                Stmt::Import(import) => {
                    let text = format!("import {}", names(&import.names));
                    self.import(
                        import.range.start().to_usize(),
                        import.range.end().to_usize(),
                        &text,
                    );
                }
                Stmt::ImportFrom(import) => {
                    let module = import
                        .module
                        .as_ref()
                        .map(|name| name.as_str())
                        .unwrap_or_default();
                    let dots = ".".repeat(import.level.min(16) as usize);
                    let text = format!("from {dots}{module} import {}", names(&import.names));
                    self.import(
                        import.range.start().to_usize(),
                        import.range.end().to_usize(),
                        &text,
                    );
                }
                Stmt::ClassDef(class) => {
                    let name = class.name.as_str();
                    let bases = class.arguments.as_deref().map(|arguments| {
                        self.slice(
                            arguments.range.start().to_usize(),
                            arguments.range.end().to_usize(),
                        )
                    });
                    let bases = bases.filter(|bases| bases != "()").unwrap_or_default();
                    if !bases.is_empty() {
                        let inner = bases.trim_start_matches('(').trim_end_matches(')');
                        self.outline.relations.push(format!("{name} inherits {inner}"));
                    }
                    let start = class.name.range.start().to_usize();
                    self.item(
                        Section::Classes,
                        depth,
                        start,
                        class.range.end().to_usize(),
                        &format!("class {name}{bases}"),
                    );
                    self.block(&class.body, depth + 1, true);
                }
                Stmt::FunctionDef(function) => {
                    let parameters = self.slice(
                        function.parameters.range.start().to_usize(),
                        function.parameters.range.end().to_usize(),
                    );
                    let keyword = if function.is_async { "async def" } else { "def" };
                    let text = format!("{keyword} {}{parameters}", function.name.as_str());
                    // Methods stay below their class.
                    let section = if in_class {
                        Section::Classes
                    } else {
                        Section::Functions
                    };
                    let start = function.name.range.start().to_usize();
                    self.item(section, depth, start, function.range.end().to_usize(), &text);
                }
                _ => {}
            }
        }
    }

    fn import(&mut self, start: usize, end: usize, text: &str) {
        self.item(Section::Imports, 0, start, end, text);
    }

    fn item(&mut self, section: Section, depth: usize, start: usize, end: usize, text: &str) {
        let item = Item {
            section,
            depth,
            first: self.line(start),
            last: self.line(end),
            text: cut(text, 160),
        };
        self.outline.items.push(item);
    }

    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Source text on one line.
    fn slice(&self, start: usize, end: usize) -> String {
        let text = self.source.get(start..end).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn names(aliases: &[Alias]) -> String {
    let names: Vec<String> = aliases
        .iter()
        .map(|alias| match &alias.asname {
            Some(asname) => format!("{} as {}", alias.name.as_str(), asname.as_str()),
            None => alias.name.as_str().to_owned(),
        })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_name_their_line() {
        assert_eq!(syntax_error("x = 1\n"), None);
        let error = syntax_error("x = 1\ndef f(:\n    pass\n").expect("error");
        assert!(error.starts_with("line 2: "), "{error}");
    }

    #[test]
    fn hostile_sources_do_not_overflow_the_stack() {
        let cases = [
            // The longest chain that the size limit lets through.
            ("a+".repeat(MAX_BYTES / 2 - 1) + "a", true),
            ("a".to_owned() + &"()".repeat(20_000), true),
            ("a".to_owned() + &".a".repeat(20_000), true),
            ("(".repeat(20_000), false),
            ("not ".repeat(20_000) + "a", false),
            ("lambda: ".repeat(20_000) + "a", false),
        ];
        for (source, valid) in cases {
            assert_eq!(syntax_error(&source).is_none(), valid, "{}", &source[..8]);
        }
    }
}
