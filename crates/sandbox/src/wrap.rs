//! Turns the body of a code node into a module with one function.

use ruff_python_parser::parse_expression;

/// Name of the entry function when the node names none, or an impossible one.
pub const DEFAULT_FUNCTION_NAME: &str = "transform";

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The name to call: `name` if Python accepts it as a function name, else `transform`.
pub fn effective_function_name(name: &str) -> &str {
    if is_identifier(name) {
        name
    } else {
        DEFAULT_FUNCTION_NAME
    }
}

/// Wraps a body as `def <function_name>(_input):`, with one local per pin.
///
/// `pins` are the node's data input pins in declared order; execution pins are the caller's to leave
/// out, `permissions` is skipped here. A pin named `_input` would hide the argument from the pins
/// after it and is skipped too. An empty body returns the input.
pub fn wrap_body<'a>(body: &str, function_name: &str, pins: impl IntoIterator<Item = &'a str>) -> String {
    let mut module = format!("def {}(_input):\n", effective_function_name(function_name));
    for pin in pins {
        let local = local_name(pin);
        if pin == "permissions" || local == "_input" {
            continue;
        }
        // A JSON string is also a Python string literal.
        let key = serde_json::Value::from(pin).to_string();
        module.push_str(&format!("    {local} = _input.get({key})\n"));
    }
    if body.trim().is_empty() {
        module.push_str("    return _input\n");
        return module;
    }
    for line in body.lines() {
        if !line.trim().is_empty() {
            module.push_str("    ");
        }
        module.push_str(line);
        module.push('\n');
    }
    module
}

/// A pin id as an identifier: foreign characters become `_`, a leading digit gets `p_` in front, a
/// keyword `_` behind.
fn local_name(pin: &str) -> String {
    let mut name: String = pin
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "p_");
    }
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// Whether Python accepts `name` as a variable name.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    let Some(first) = chars.next() else { return false };
    if KEYWORDS.contains(&name) {
        return false;
    }
    if name.is_ascii() {
        return (first.is_ascii_alphabetic() || first == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    }
    // The parser knows the Unicode tables; brackets and operators are excluded by the alphabet.
    name.len() <= 256
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && parse_expression(name).is_ok_and(|parsed| parsed.syntax().body.is_name_expr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_become_locals() {
        let module = wrap_body(
            "total = a\n\nreturn total",
            "run_it",
            ["a", "my-pin", "class", "1st", "permissions", "_input"],
        );
        assert_eq!(
            module,
            "def run_it(_input):\n    a = _input.get(\"a\")\n    my_pin = _input.get(\"my-pin\")\n    \
             class_ = _input.get(\"class\")\n    p_1st = _input.get(\"1st\")\n    total = a\n\n    return total\n"
        );
    }

    #[test]
    fn empty_body_returns_input_and_bad_names_fall_back() {
        assert_eq!(
            wrap_body(" \n", "not valid", []),
            "def transform(_input):\n    return _input\n"
        );
        for bad in ["", "1a", "class", "a b", "a-b", "f()", "a.b"] {
            assert_eq!(effective_function_name(bad), "transform", "{bad}");
        }
        for good in ["f", "_x1", "été"] {
            assert_eq!(effective_function_name(good), good);
        }
    }

    #[test]
    fn pin_names_are_quoted() {
        assert_eq!(
            wrap_body("", "f", ["a\"b\\\n"]),
            "def f(_input):\n    a_b__ = _input.get(\"a\\\"b\\\\\\n\")\n    return _input\n"
        );
    }
}
