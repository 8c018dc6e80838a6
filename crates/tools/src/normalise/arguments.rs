//! Arguments of one call, matched against the tool's specification.

use std::borrow::Cow;

use serde_json::Value;

use super::fold;
use crate::call::Object;
use crate::spec::{Arg, ArgType, ToolSpec};

/// Other names under which an argument may arrive, first come first served. A name that the tool itself has is never
/// taken for a synonym.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("file_path", &["path", "filename", "filepath", "file"]),
    (
        "directory_path",
        &["path", "dir", "folder", "directory", "folder_path"],
    ),
    (
        "path",
        &[
            "dir",
            "folder",
            "directory",
            "directory_path",
            "folder_path",
            "file_path",
        ],
    ),
    (
        "paths",
        &[
            "path",
            "file_paths",
            "file_path",
            "files",
            "folders",
            "file",
            "folder",
        ],
    ),
    (
        "pattern",
        &["query", "regex", "search", "find", "old_string", "old_text"],
    ),
    (
        "replacement",
        &["replace", "new_string", "new_text", "replace_with"],
    ),
    ("file_pattern", &["glob", "include", "file_glob"]),
    ("start_line", &["start", "line_start", "from_line"]),
    ("end_line", &["end", "line_end", "to_line"]),
    ("content", &["text", "contents", "data"]),
    ("command", &["cmd", "shell_command"]),
    ("working_directory", &["cwd", "workdir", "working_dir"]),
    ("query", &["q", "search", "search_query"]),
    ("num_results", &["limit", "max_results", "count"]),
    ("url", &["uri", "link"]),
    ("data", &["body", "payload"]),
];

/// Why a call cannot be made. The texts are shown to models, which then correct themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Required arguments that were not given.
    #[error("{tool}() missing {} required positional argument{}: {}", names.len(), if names.len() == 1 { "" } else { "s" }, listed(names))]
    Missing {
        /// Tool name.
        tool: String,
        /// In declaration order.
        names: Vec<String>,
    },
    /// A value that does not have, and cannot be brought to, the argument's type.
    #[error("{tool}() argument '{name}' must be {expected}")]
    WrongType {
        /// Tool name.
        tool: String,
        /// Argument name.
        name: String,
        /// The type in words.
        expected: &'static str,
    },
}

/// The arguments that `spec` knows, under its names and with its types; unknown ones are dropped.
///
/// # Errors
/// [`ArgumentError`] for a missing required argument or a value of the wrong type. Null counts as not given.
pub fn arguments(spec: &ToolSpec, given: &Object) -> Result<Object, ArgumentError> {
    let given = unwrap(spec, given);
    let mut normal = Object::new();
    let mut missing = Vec::new();
    for arg in &spec.args {
        match find(spec, &given, arg.name) {
            Some(value) => {
                let value = coerce(arg, value).ok_or_else(|| ArgumentError::WrongType {
                    tool: spec.name.to_owned(),
                    name: arg.name.to_owned(),
                    expected: in_words(arg.kind),
                })?;
                normal.insert(arg.name.to_owned(), value);
            }
            None if arg.default.is_none() => missing.push(arg.name.to_owned()),
            None => {}
        }
    }
    if missing.is_empty() {
        Ok(normal)
    } else {
        Err(ArgumentError::Missing {
            tool: spec.name.to_owned(),
            names: missing,
        })
    }
}

/// The inner object where a model wrapped its arguments once more.
fn unwrap<'a>(spec: &ToolSpec, given: &'a Object) -> Cow<'a, Object> {
    let mut current = Cow::Borrowed(given);
    // Two levels are seen in practice; more would be an attempt to keep us busy.
    for _ in 0..3 {
        let inner = ["arguments", "parameters", "args", "kwargs", "input"]
            .iter()
            .filter(|key| spec.args.iter().all(|arg| arg.name != **key))
            .find_map(|key| match current.get(*key) {
                Some(Value::Object(inner)) => Some(inner.clone()),
                Some(Value::String(text)) => serde_json::from_str::<Object>(text).ok(),
                _ => None,
            });
        match inner {
            Some(inner) => current = Cow::Owned(inner),
            None => break,
        }
    }
    current
}

fn find<'a>(spec: &ToolSpec, given: &'a Object, name: &str) -> Option<&'a Value> {
    let named = |wanted: &str| {
        given.get(wanted).or_else(|| {
            let folded = fold(wanted);
            given
                .iter()
                .find(|(key, _)| fold(key) == folded)
                .map(|(_, value)| value)
        })
    };
    let present = |value: &&Value| !value.is_null();
    named(name).filter(present).or_else(|| {
        let synonyms = SYNONYMS.iter().find(|(canonical, _)| *canonical == name)?.1;
        synonyms
            .iter()
            .filter(|synonym| spec.args.iter().all(|arg| arg.name != **synonym))
            .find_map(|synonym| named(synonym).filter(present))
    })
}

fn coerce(arg: &Arg, value: &Value) -> Option<Value> {
    match (arg.kind, value) {
        (ArgType::String, Value::String(_))
        | (ArgType::Boolean, Value::Bool(_))
        | (ArgType::Number, Value::Number(_)) => Some(value.clone()),
        // A model that writes a JSON file often sends the object itself.
        (ArgType::String, Value::Object(_) | Value::Array(_)) => {
            serde_json::to_string_pretty(value).ok().map(Value::from)
        }
        (ArgType::String, other) => Some(Value::String(other.to_string())),
        (ArgType::Integer, Value::Number(number)) => integer(number.as_i64(), number.as_f64()),
        (ArgType::Integer, Value::String(text)) => {
            integer(text.trim().parse().ok(), text.trim().parse().ok())
        }
        (ArgType::Integer, Value::Bool(flag)) => Some(Value::from(i64::from(*flag))),
        (ArgType::Number, Value::String(text)) => text
            .trim()
            .trim_end_matches('%')
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(Value::from),
        (ArgType::Boolean, Value::String(text)) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "n" | "off" | "0" | "none" | "null" | "" => Some(Value::Bool(false)),
            _ => None,
        },
        (ArgType::Boolean, Value::Number(number)) => Some(Value::Bool(number.as_f64() != Some(0.0))),
        (ArgType::Strings, Value::Array(items)) => Some(Value::Array(
            items.iter().filter(|item| item.is_string()).cloned().collect(),
        )),
        (ArgType::Strings, Value::String(text)) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(items) => Some(Value::from(items)),
            Err(_) => Some(Value::from(vec![text.clone()])),
        },
        (ArgType::Object, Value::Object(_)) => Some(value.clone()),
        (ArgType::Object, Value::String(text)) => {
            serde_json::from_str::<Object>(text).ok().map(Value::Object)
        }
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn integer(exact: Option<i64>, float: Option<f64>) -> Option<Value> {
    exact
        .or_else(|| {
            float
                .filter(|n| n.fract() == 0.0 && n.abs() < 1e15)
                .map(|n| n as i64)
        })
        .map(Value::from)
}

fn in_words(kind: ArgType) -> &'static str {
    match kind {
        ArgType::String => "a string",
        ArgType::Integer => "an integer",
        ArgType::Number => "a number",
        ArgType::Boolean => "a boolean",
        ArgType::Strings => "a list of strings",
        ArgType::Object => "an object",
    }
}

/// `'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [all @ .., last] => format!("{}, and {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue;

    fn normal(tool: &str, given: Value) -> Result<Value, String> {
        let spec = catalogue::find(tool).expect(tool);
        let given: Object = serde_json::from_value(given).expect("object");
        arguments(spec, &given)
            .map(Value::Object)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_are_matched_and_coerced() {
        let cases = [
            (
                "read_file",
                json!({"filePath": "a", "START": "3", "bogus": 1}),
                json!({"file_path": "a", "start_line": 3}),
            ),
            (
                "read_file",
                json!({"arguments": {"path": "a"}}),
                json!({"file_path": "a"}),
            ),
            (
                "read_file",
                json!({"arguments": "{\"filename\": \"a\", \"end\": 2.0}"}),
                json!({"file_path": "a", "end_line": 2}),
            ),
            (
                "list_files",
                json!({"path": "d", "recursive": "yes"}),
                json!({"directory_path": "d", "recursive": true}),
            ),
            (
                "search_files",
                json!({"regex": "x", "path": "p"}),
                json!({"pattern": "x", "path": "p"}),
            ),
            (
                "search_files",
                json!({"query": "x", "dir": "p"}),
                json!({"pattern": "x", "path": "p"}),
            ),
            (
                "skim_files",
                json!({"paths": "a", "target_percent": "5%"}),
                json!({"paths": ["a"], "target_percent": 5.0}),
            ),
            (
                "skim_files",
                json!({"path": "[\"a\", \"b\"]"}),
                json!({"paths": ["a", "b"]}),
            ),
            (
                "fetch_url",
                json!({"url": "u", "headers": "{\"A\": \"b\"}"}),
                json!({"url": "u", "headers": {"A": "b"}}),
            ),
            (
                "write_file",
                json!({"file_path": "a", "content": 3}),
                json!({"file_path": "a", "content": "3"}),
            ),
            (
                "edit_file",
                json!({"file": "a", "pattern": "x", "end_line": null}),
                json!({"file_path": "a", "pattern": "x"}),
            ),
        ];
        for (tool, given, expected) in cases {
            let label = given.to_string();
            assert_eq!(normal(tool, given), Ok(expected), "{tool} {label}");
        }
    }

    #[test]
    fn missing_and_impossible_values_are_named() {
        let cases = [
            (
                "write_file",
                json!({"file_path": "a"}),
                "write_file() missing 1 required positional argument: 'content'",
            ),
            (
                "write_file",
                json!({}),
                "write_file() missing 2 required positional arguments: 'file_path' and 'content'",
            ),
            (
                "write_file",
                json!({"file_path": "a", "content": null}),
                "write_file() missing 1 required positional argument: 'content'",
            ),
            (
                "read_file",
                json!({"file_path": "a", "start_line": "x"}),
                "read_file() argument 'start_line' must be an integer",
            ),
            (
                "list_files",
                json!({"recursive": "perhaps"}),
                "list_files() argument 'recursive' must be a boolean",
            ),
        ];
        for (tool, given, expected) in cases {
            assert_eq!(normal(tool, given), Err(expected.to_owned()));
        }
    }

    #[test]
    fn three_names_are_listed_like_a_sentence() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(listed(&names), "'a', 'b', and 'c'");
    }
}
