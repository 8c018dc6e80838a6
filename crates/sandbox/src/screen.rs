//! The pass over the syntax tree between parsing and compiling.
//!
//! It refuses what the sandbox of the reference refuses (the interpreter itself would allow it) and
//! rewrites the text where the two languages differ:
//!
//! * a name that nothing in the source binds and that is not an allowed builtin gets a prefix, so
//!   that the interpreter raises its ordinary `NameError`; [`visible_text`] removes the prefix from
//!   messages. A name the source binds anywhere is left alone: at worst a harmless builtin shows;
//! * a `class` statement becomes a reference to the missing `__build_class__`;
//! * `del x[k]`, which the interpreter lacks, becomes `x.pop(k)`.
//!
//! Rewrites keep line numbers: line breaks inside a replaced range are kept.

mod edits;
mod names;

use std::collections::{BTreeSet, HashMap, HashSet};

use ruff_python_ast::{
    AnyNodeRef, Expr, ExprContext, StmtDelete,
    visitor::source_order::{SourceOrderVisitor, TraversalSignal},
};
use ruff_python_parser::{Mode, parse_expression, parse_module};
use ruff_text_size::{Ranged, TextSize};

use crate::{
    depth::{self, MAX_SOURCE_BYTES},
    syntax,
};
use edits::Edits;
use names::{ALLOWED_BUILTINS, bound_names};

/// Prefix of names that must stay undefined.
pub(crate) const UNDEFINED_PREFIX: &str = "_ag_undefined_";

/// The prefix inside a list display, which evaluates the name at once.
const UNDEFINED_CALLEE: &str = "[_ag_undefined_";

const FORBIDDEN_CALLS: [&str; 4] = ["exec", "eval", "compile", "__import__"];

/// A source that passed, ready for the compiler.
#[derive(Debug)]
pub(crate) struct Screened {
    /// The rewritten text.
    pub(crate) source: String,
    /// Names that some statement of the source binds.
    pub(crate) bound: HashSet<String>,
    /// Names the text reads and nothing binds, allowed builtins included.
    pub(crate) free: BTreeSet<String>,
}

/// Checks and rewrites a module. `Err` is the client's error text, phase prefix included.
pub(crate) fn module(source: &str) -> Result<Screened, String> {
    let source = prepare(source, Mode::Module)?;
    let parsed = parse_module(&source).map_err(|error| syntax::describe(&error, &source))?;
    let outer = HashSet::new();
    let mut pass = Pass::new(&source, &outer);
    pass.visit_body(&parsed.syntax().body);
    pass.finish()
}

/// Checks and rewrites one expression; `names` are defined by the caller.
pub(crate) fn expression(source: &str, names: &HashSet<String>) -> Result<Screened, String> {
    let source = prepare(source.trim(), Mode::Expression)?;
    let parsed = parse_expression(&source).map_err(|error| syntax::describe(&error, &source))?;
    let mut pass = Pass::new(&source, names);
    pass.visit_expr(&parsed.syntax().body);
    pass.finish()
}

/// An interpreter message as the author of the code should read it.
pub(crate) fn visible_text(message: &str) -> String {
    let text = message.replace(UNDEFINED_PREFIX, "");
    if text == "name '__build_class__' is not defined" {
        return "__build_class__ not found".to_owned();
    }
    if text.starts_with("unsupported operand type(s) for %: 'str' and ") {
        return "'%' formatting of text is not supported in code nodes; use an f-string or str.format"
            .to_owned();
    }
    text
}

/// Caps that hold before any recursive code runs, and one kind of line break.
fn prepare(source: &str, mode: Mode) -> Result<String, String> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("source has {} bytes, more than {MAX_SOURCE_BYTES}", source.len());
        return Err(syntax::error_text(&message, 1));
    }
    if source.contains('\0') {
        return Err(syntax::error_text(
            "source code string cannot contain null bytes",
            1,
        ));
    }
    let source = source
        .trim_start_matches('\u{feff}')
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    if depth::is_too_deep(&source, mode) {
        return Err(syntax::error_text(syntax::TOO_DEEP, 1));
    }
    Ok(source)
}

struct Pass<'s> {
    source: &'s str,
    outer: &'s HashSet<String>,
    depth: usize,
    /// The refusal nearest to the root wins, as in a breadth-first walk.
    refusal: Option<(usize, String)>,
    unsupported: Option<String>,
    /// Functions around the node being visited.
    functions: usize,
    edits: Edits,
    bound: HashSet<String>,
    loads: Vec<(usize, String)>,
    /// Start and end of names that are called directly.
    callees: HashMap<usize, usize>,
}

impl<'s> Pass<'s> {
    fn new(source: &'s str, outer: &'s HashSet<String>) -> Self {
        Self {
            source,
            outer,
            depth: 0,
            refusal: None,
            unsupported: None,
            functions: 0,
            edits: Edits::default(),
            bound: HashSet::new(),
            loads: Vec::new(),
            callees: HashMap::new(),
        }
    }

    fn finish(mut self) -> Result<Screened, String> {
        if let Some((_, text)) = self.refusal {
            return Err(text);
        }
        if let Some(text) = self.unsupported {
            return Err(text);
        }
        let mut free = BTreeSet::new();
        for (offset, name) in self.loads {
            if self.bound.contains(&name) {
                continue;
            }
            if !self.outer.contains(&name) && !ALLOWED_BUILTINS.contains(&name.as_str()) {
                // The interpreter looks a callee up after its arguments; Python looks first.
                if let Some(&end) = self.callees.get(&offset) {
                    self.edits.insert(offset, UNDEFINED_CALLEE);
                    self.edits.insert(end, "][0]");
                } else {
                    self.edits.insert(offset, UNDEFINED_PREFIX);
                }
            }
            free.insert(name);
        }
        Ok(Screened {
            source: self.edits.apply(self.source),
            bound: self.bound,
            free,
        })
    }

    fn refuse(&mut self, text: String) {
        if self.refusal.as_ref().is_none_or(|(depth, _)| self.depth < *depth) {
            self.refusal = Some((self.depth, text));
        }
    }

    fn unsupported(&mut self, construct: &str, offset: usize) {
        if self.unsupported.is_none() {
            let line = syntax::line_of(self.source, offset);
            let message = format!("{construct} is not supported in code nodes");
            self.unsupported = Some(syntax::error_text(&message, line));
        }
    }

    /// The interpreter takes these at the top level, where they would end the module early.
    fn only_in_functions(&mut self, keyword: &str, offset: TextSize) {
        if self.functions == 0 && self.unsupported.is_none() {
            let line = syntax::line_of(self.source, offset.into());
            self.unsupported = Some(syntax::error_text(&format!("'{keyword}' outside function"), line));
        }
    }

    fn delete(&mut self, statement: &StmtDelete) {
        let start = usize::from(statement.range().start());
        let mut previous_end: Option<usize> = None;
        for target in &statement.targets {
            let Expr::Subscript(subscript) = target else {
                let construct = match target {
                    Expr::Name(_) => "'del' of a name",
                    Expr::Attribute(_) => "'del' of an attribute",
                    _ => "'del' of several targets in brackets",
                };
                self.unsupported(construct, start);
                return;
            };
            if subscript.slice.is_slice_expr() {
                self.unsupported("'del' of a slice", start);
                return;
            }
            let target_start = usize::from(target.range().start());
            let target_end = usize::from(target.range().end());
            match previous_end {
                None => self.edits.replace(start..target_start, ""),
                Some(end) => self.edits.replace(end..target_start, "; "),
            }
            let value_end = usize::from(subscript.value.range().end());
            let slice_start = usize::from(subscript.slice.range().start());
            let slice_end = usize::from(subscript.slice.range().end());
            let open = self.source[value_end..slice_start].find('[');
            let close = self.source[slice_end..target_end].rfind(']');
            let (Some(open), Some(close)) = (open, close) else {
                self.unsupported("this 'del' statement", start);
                return;
            };
            // Doubled brackets keep a bare tuple key (`del d[a, b]`) one argument.
            self.edits
                .replace(value_end + open..value_end + open + 1, ".pop((");
            self.edits.replace(slice_end + close..slice_end + close + 1, "))");
            previous_end = Some(target_end);
        }
    }

    fn inspect(&mut self, node: AnyNodeRef<'_>) {
        match node {
            AnyNodeRef::StmtImport(_) | AnyNodeRef::StmtImportFrom(_) => {
                self.refuse("Imports are not allowed".to_owned());
            }
            AnyNodeRef::ExprCall(call) => {
                if let Expr::Name(name) = call.func.as_ref() {
                    if FORBIDDEN_CALLS.contains(&name.id.as_str()) {
                        self.refuse(format!("'{}' is not allowed", name.id));
                    }
                    self.callees
                        .insert(name.range.start().into(), name.range.end().into());
                }
            }
            AnyNodeRef::ExprAttribute(attribute) => {
                let name = attribute.attr.as_str();
                if name.starts_with("__") {
                    self.refuse(format!("Access to dunder attributes ('{name}') is not allowed"));
                }
            }
            AnyNodeRef::StmtClassDef(class) => {
                let range = class.range().to_std_range();
                let breaks = self.source[range.clone()].matches('\n').count();
                let text = format!("{UNDEFINED_PREFIX}__build_class__{}", "\n".repeat(breaks));
                self.edits.replace(range, text);
            }
            AnyNodeRef::StmtDelete(statement) => self.delete(statement),
            AnyNodeRef::StmtReturn(statement) => self.only_in_functions("return", statement.range.start()),
            AnyNodeRef::ExprAwait(expr) => self.only_in_functions("await", expr.range.start()),
            AnyNodeRef::ExprYield(expr) => self.unsupported("'yield'", usize::from(expr.range.start())),
            AnyNodeRef::ExprYieldFrom(expr) => {
                self.unsupported("'yield from'", usize::from(expr.range.start()));
            }
            AnyNodeRef::ExprName(name) if name.ctx == ExprContext::Load => {
                let offset = usize::from(name.range.start());
                self.loads.push((offset, name.id.to_string()));
            }
            _ => {}
        }
        bound_names(node, &mut self.bound);
    }
}

impl<'a> SourceOrderVisitor<'a> for Pass<'_> {
    fn enter_node(&mut self, node: AnyNodeRef<'a>) -> TraversalSignal {
        self.depth += 1;
        self.inspect(node);
        if opens_function(node) {
            self.functions += 1;
        }
        TraversalSignal::Traverse
    }

    fn leave_node(&mut self, node: AnyNodeRef<'a>) {
        self.depth -= 1;
        if opens_function(node) {
            self.functions -= 1;
        }
    }
}

fn opens_function(node: AnyNodeRef<'_>) -> bool {
    matches!(node, AnyNodeRef::StmtFunctionDef(_) | AnyNodeRef::ExprLambda(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> String {
        module(source).expect_err(source)
    }

    #[test]
    fn refusals_of_the_reference() {
        let cases = [
            ("import os", "Imports are not allowed"),
            ("def f():\n    from a import b", "Imports are not allowed"),
            ("eval('1')", "'eval' is not allowed"),
            ("exec('1')", "'exec' is not allowed"),
            ("compile('1', '', 'eval')", "'compile' is not allowed"),
            ("__import__('os')", "'__import__' is not allowed"),
            (
                "().__class__.__bases__",
                "Access to dunder attributes ('__bases__') is not allowed",
            ),
            ("def f():\n    eval('x')\nimport os", "Imports are not allowed"),
        ];
        for (source, expected) in cases {
            assert_eq!(refused(source), expected, "{source}");
        }
        assert!(module("evaluate = 1\nx = evaluate").is_ok());
    }

    #[test]
    fn unbound_names_are_hidden_and_bound_ones_kept() {
        let screened = module("def f(open):\n    return open(any(len([])))\n").expect("valid");
        assert_eq!(
            screened.source,
            "def f(open):\n    return open([_ag_undefined_any][0](len([])))\n"
        );
        assert!(screened.bound.contains("f") && screened.bound.contains("open"));
        assert!(screened.free.contains("any") && screened.free.contains("len"));
        assert_eq!(
            visible_text("name '_ag_undefined_any' is not defined"),
            "name 'any' is not defined"
        );
    }

    #[test]
    fn every_binding_form_counts() {
        let source = "def f(a, /, b=1, *c, d, **e):\n    g = h = 0\n    (i, [j, *k]) = a\n    for l in a: pass\n    \
                      with a as m: pass\n    try: pass\n    except: pass\n    (n := 1)\n    [o for o in a]\n    \
                      q: int = 1\n    r = lambda s: s\n    return [a,b,c,d,e,g,h,i,j,k,l,m,n,o,q,r]\n";
        let screened = module(source).expect("valid");
        assert_eq!(screened.source, source);
    }

    #[test]
    fn del_of_items_becomes_pop() {
        let cases = [
            ("d = {}\ndel d['a']", "d = {}\nd.pop(('a'))"),
            ("d = {}\ndel d[1, 2]", "d = {}\nd.pop((1, 2))"),
            (
                "d = {}\nif d: del d['a']['b'], d[0]",
                "d = {}\nif d: d['a'].pop(('b')); d.pop((0))",
            ),
            ("d = {}\ndel (d)[d[1]]", "d = {}\n(d).pop((d[1]))"),
        ];
        for (source, expected) in cases {
            assert_eq!(module(source).expect(source).source, expected);
        }
        for (source, construct) in [
            ("x = 1\ndel x", "'del' of a name"),
            ("x = [1]\ndel x[:1]", "'del' of a slice"),
            ("x = [1]\ndel x.a", "'del' of an attribute"),
        ] {
            assert_eq!(
                refused(source),
                format!("Syntax error: {construct} is not supported in code nodes (<unknown>, line 2)")
            );
        }
    }

    #[test]
    fn classes_keep_their_lines() {
        let screened = module("x = 1\nclass A:\n    y = open\n\nz = 2").expect("valid");
        assert_eq!(screened.source, "x = 1\n_ag_undefined___build_class__\n\n\nz = 2");
        assert_eq!(
            visible_text("name '_ag_undefined___build_class__' is not defined"),
            "__build_class__ not found"
        );
    }

    #[test]
    fn caps() {
        assert!(refused(&"x = 1\n".repeat(60_000)).contains("source has 360000 bytes"));
        assert!(refused(&format!("x = {}1", "-".repeat(100_000))).contains(syntax::TOO_DEEP));
        assert!(refused("x = '\0'").contains("null bytes"));
    }
}
