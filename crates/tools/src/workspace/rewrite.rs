//! Path arguments made absolute before a call is recorded or run.

use std::path::Path;

use serde_json::Value;

use super::error::PathError;
use super::policy::WorkspacePolicy;
use crate::call::Object;

const FILE_PATH: &[&str] = &["file_path", "path", "filename", "file", "filepath"];
const DIRECTORY: &[&str] = &[
    "directory_path",
    "path",
    "directory",
    "dir",
    "folder",
    "folder_path",
];
const SEARCH_PATH: &[&str] = &[
    "path",
    "directory_path",
    "directory",
    "dir",
    "folder",
    "folder_path",
];
const WORKING_DIRECTORY: &[&str] = &["working_directory", "cwd", "workdir", "working_dir"];
const PATHS: &[&str] = &["paths", "path", "file_paths", "file_path", "files", "folders"];

/// Replaces the path arguments of the file and command tools by real absolute paths; other tools and other arguments
/// stay as they are.
///
/// # Errors
/// The first path that the policy refuses, or [`PathError::Missing`].
pub fn rewrite_arguments(
    policy: &WorkspacePolicy,
    tool: &str,
    arguments: &mut Object,
) -> Result<(), PathError> {
    match tool {
        "list_files" => default_to_root(policy, arguments, DIRECTORY),
        "search_files" => default_to_root(policy, arguments, SEARCH_PATH),
        "execute_command" => default_to_root(policy, arguments, WORKING_DIRECTORY),
        "analyze_code" | "read_file" | "write_file" | "edit_file" => {
            let missing = || PathError::Missing {
                tool: tool.to_owned(),
            };
            let given = take(arguments, FILE_PATH).ok_or_else(missing)?;
            let given = given
                .as_str()
                .filter(|text| !text.trim().is_empty())
                .ok_or_else(missing)?
                .to_owned();
            set(arguments, FILE_PATH[0], text_of(&policy.resolve(&given)?));
            Ok(())
        }
        "skim_files" | "skim_folders" => rewrite_list(policy, arguments),
        _ => Ok(()),
    }
}

fn default_to_root(
    policy: &WorkspacePolicy,
    arguments: &mut Object,
    names: &[&str],
) -> Result<(), PathError> {
    let given = take(arguments, names);
    let given = given
        .as_ref()
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let path = match given {
        Some(given) => policy.resolve(given)?,
        None => policy.root().to_path_buf(),
    };
    set(arguments, names[0], text_of(&path));
    Ok(())
}

fn rewrite_list(policy: &WorkspacePolicy, arguments: &mut Object) -> Result<(), PathError> {
    let given = match take(arguments, PATHS) {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Some(Value::String(text)) => match serde_json::from_str::<Vec<String>>(&text) {
            Ok(items) => items,
            Err(_) => vec![text],
        },
        // Left to the argument check, which names what is missing.
        _ => return Ok(()),
    };
    let paths: Result<Vec<Value>, PathError> = given
        .iter()
        .map(|path| policy.resolve(path).map(|path| text_of(&path)))
        .collect();
    set(arguments, PATHS[0], Value::Array(paths?));
    Ok(())
}

/// Removes and returns the argument with the first of `names` that is there, compared without case and separators.
fn take(arguments: &mut Object, names: &[&str]) -> Option<Value> {
    let key = names.iter().find_map(|name| {
        let folded = crate::normalise::fold(name);
        arguments
            .keys()
            .find(|key| crate::normalise::fold(key) == folded)
            .cloned()
    })?;
    if key == names[0] {
        arguments.get(&key).cloned()
    } else {
        arguments.shift_remove(&key)
    }
}

fn set(arguments: &mut Object, name: &str, value: Value) {
    arguments.insert(name.to_owned(), value);
}

fn text_of(path: &Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workspace::AccessMode;

    #[test]
    fn path_arguments_become_absolute() {
        let dir = tempfile::tempdir().expect("tempdir");
        let policy = WorkspacePolicy::new(dir.path(), AccessMode::WorkspaceOnly, &[], &[]);
        let root = policy.root().display().to_string();
        let cases = [
            (
                "read_file",
                json!({"file_path": "t.txt", "start_line": 2}),
                json!({"file_path": "R/t.txt", "start_line": 2}),
            ),
            (
                "write_file",
                json!({"filePath": "t.txt", "content": "x"}),
                json!({"content": "x", "file_path": "R/t.txt"}),
            ),
            ("list_files", json!({}), json!({"directory_path": "R"})),
            (
                "list_files",
                json!({"path": "sub"}),
                json!({"directory_path": "R/sub"}),
            ),
            (
                "search_files",
                json!({"pattern": "x"}),
                json!({"pattern": "x", "path": "R"}),
            ),
            (
                "execute_command",
                json!({"command": "ls", "cwd": "s"}),
                json!({"command": "ls", "working_directory": "R/s"}),
            ),
            (
                "skim_files",
                json!({"paths": ["a", "b/../c"]}),
                json!({"paths": ["R/a", "R/c"]}),
            ),
            ("skim_folders", json!({"paths": "."}), json!({"paths": ["R"]})),
            (
                "fetch_url",
                json!({"url": "x", "path": "../.."}),
                json!({"url": "x", "path": "../.."}),
            ),
        ];
        for (tool, arguments, expected) in cases {
            let mut arguments: Object = serde_json::from_value(arguments).expect("object");
            rewrite_arguments(&policy, tool, &mut arguments).expect(tool);
            let text = Value::Object(arguments).to_string().replace(&root, "R");
            assert_eq!(
                serde_json::from_str::<Value>(&text).expect("json"),
                expected,
                "{tool}"
            );
        }
    }

    #[test]
    fn refused_and_missing_paths_are_errors() {
        let dir = tempfile::tempdir().expect("tempdir");
        let policy = WorkspacePolicy::new(dir.path(), AccessMode::WorkspaceOnly, &[], &[]);
        let cases = [
            (
                "read_file",
                json!({"file_path": "/etc/hostname"}),
                "Path is outside workspace roots: '/etc/hostname'",
            ),
            (
                "edit_file",
                json!({"pattern": "x"}),
                "edit_file requires file_path",
            ),
            (
                "list_files",
                json!({"directory_path": "../x"}),
                "Path escapes workspace_root: '../x'",
            ),
            (
                "skim_files",
                json!({"paths": ["a", ".."]}),
                "Path escapes workspace_root: '..'",
            ),
            (
                "execute_command",
                json!({"working_directory": "/"}),
                "Path is outside workspace roots: '/'",
            ),
        ];
        for (tool, arguments, expected) in cases {
            let mut arguments: Object = serde_json::from_value(arguments).expect("object");
            let error = rewrite_arguments(&policy, tool, &mut arguments).expect_err(tool);
            assert_eq!(error.to_string(), expected, "{tool}");
        }
    }
}
