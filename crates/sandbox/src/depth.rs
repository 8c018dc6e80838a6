//! Bounds the depth of the syntax tree before anything recursive sees the source.
//!
//! The parser limits nested brackets itself, but left-associative chains (`a + a + …`, `f()()…`,
//! `a.b.c…`) parse in a loop and still make a tree as deep as the chain is long, which every later
//! visitor, and the tree's destructor, walk recursively. This scan reads tokens only.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer::lex};

/// Largest accepted source in bytes. Code nodes are a page or two; the largest seen is a few KiB.
pub(crate) const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// Deepest accepted tree, by the estimate below. The interpreter's own limit is 200 nested
/// expressions, so nothing that could run is refused here.
const MAX_DEPTH: usize = 1200;

/// Whether the tree of `source` might be too deep to walk safely.
///
/// The estimate is an upper bound: operators and postfix brackets since the last separator, summed
/// over all open brackets, plus brackets, blocks and compound statements.
pub(crate) fn is_too_deep(source: &str, mode: Mode) -> bool {
    let mut lexer = lex(source, mode);
    let mut chains: Vec<usize> = vec![0];
    let mut sum = 0usize;
    let mut indents = 0usize;
    loop {
        let kind = lexer.next_token();
        match kind {
            TokenKind::EndOfFile => return false,
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Newline | TokenKind::Semi => {
                chains.clear();
                chains.push(0);
                sum = 0;
            }
            TokenKind::Comma => reset(&mut chains, &mut sum),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                bump(&mut chains, &mut sum);
                chains.push(0);
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                if chains.len() > 1 {
                    sum -= chains.pop().unwrap_or(0);
                }
            }
            TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::TStringMiddle
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd
            | TokenKind::Comment
            | TokenKind::NonLogicalNewline => {}
            // Operators, keywords and the start of an f-string can each add a level.
            _ => bump(&mut chains, &mut sum),
        }
        if sum + chains.len() + indents > MAX_DEPTH {
            return true;
        }
    }
}

fn bump(chains: &mut [usize], sum: &mut usize) {
    if let Some(top) = chains.last_mut() {
        *top += 1;
        *sum += 1;
    }
}

fn reset(chains: &mut [usize], sum: &mut usize) {
    if let Some(top) = chains.last_mut() {
        *sum -= *top;
        *top = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_code_passes_and_deep_code_does_not() {
        let flat = format!("x = [{}]", "(1, -2), ".repeat(20_000));
        assert!(!is_too_deep(&flat, Mode::Module));
        let lines = "y = a.b + c[0] * 2\n".repeat(5000);
        assert!(!is_too_deep(&lines, Mode::Module));
        for (open, name) in [
            ("(", "brackets"),
            ("-", "prefix"),
            ("not ", "not"),
            ("a + ", "sum"),
            ("a.", "attributes"),
            ("lambda: ", "lambdas"),
            ("a if b else ", "conditionals"),
            ("f\"{", "f-strings"),
        ] {
            let source = format!("x = {}a", open.repeat(5000));
            assert!(is_too_deep(&source, Mode::Module), "{name}");
        }
        assert!(is_too_deep(&format!("x = f{}", "()".repeat(5000)), Mode::Module));
        let blocks: String = (0..1300).map(|i| format!("{}if a:\n", " ".repeat(i))).collect();
        assert!(is_too_deep(&blocks, Mode::Module));
    }
}
