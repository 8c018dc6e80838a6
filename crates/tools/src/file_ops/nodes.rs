//! The file nodes of flows: `read_file`, `write_file`, `list_folder_files`.
//!
//! Errors are texts of the contract and become the run's business failure.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::list::{ListError, ListRequest, extensions, list};
use super::read::MAX_FILE_BYTES;
use crate::call::Object;
use crate::workspace::WorkspacePolicy;

/// `{content, file_path}`: JSON where the file is JSON, else its text.
///
/// # Errors
/// The node's failure text.
pub fn read_file(policy: &WorkspacePolicy, file_path: &Value) -> Result<Object, String> {
    let (path, shown) = resolve(policy, "read_file", file_path)?;
    let found = fs::metadata(&path).map_err(|error| missing_or(&error, &shown))?;
    if !found.is_file() {
        return Err(format!("Not a file: {shown}"));
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(format!(
            "File too large: {shown} ({} bytes > {MAX_FILE_BYTES} bytes)",
            found.len()
        ));
    }
    let bytes = fs::read(&path).map_err(|error| missing_or(&error, &shown))?;
    let text =
        String::from_utf8(bytes).map_err(|error| format!("Cannot read '{shown}' as UTF-8: {error}"))?;
    let content = if is_json(&shown) {
        serde_json::from_str(&text).map_err(|error| format!("Invalid JSON in '{shown}': {error}"))?
    } else if text.trim_start().starts_with(['{', '[']) {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    } else {
        Value::String(text)
    };
    Ok(object([
        ("content", content),
        ("file_path", Value::String(shown)),
    ]))
}

/// `{bytes, file_path}`; missing folders are made.
///
/// # Errors
/// The node's failure text.
pub fn write_file(policy: &WorkspacePolicy, file_path: &Value, content: &Value) -> Result<Object, String> {
    let (path, shown) = resolve(policy, "write_file", file_path)?;
    let text = file_text(&shown, content)?;
    let failed = |error: io::Error| format!("write_file failed for '{shown}': {error}");
    policy.ensure_root().map_err(|error| error.to_string())?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(&path, &text).map_err(failed)?;
    Ok(object([
        ("bytes", json!(text.len())),
        ("file_path", Value::String(shown)),
    ]))
}

/// `{folder_path, files, entries, count, truncated}` from the node's inputs.
///
/// # Errors
/// The node's failure text.
pub fn list_folder_files(policy: &WorkspacePolicy, inputs: &Object) -> Result<Object, String> {
    const OP: &str = "list_folder_files";
    let text = |key: &str| {
        inputs
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let count = |key: &str, default: u64| {
        let given = inputs
            .get(key)
            .and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
        usize::try_from(given.unwrap_or(default)).unwrap_or(usize::MAX)
    };
    let path = text("folder_path");
    let request = ListRequest {
        path: if path.trim().is_empty() {
            ".".to_owned()
        } else {
            path
        },
        recursive: ag_pyvalue::truthy(inputs.get("recursive").unwrap_or(&Value::Null)),
        include_directories: ag_pyvalue::truthy(inputs.get("include_directories").unwrap_or(&Value::Null)),
        family: text("family"),
        extensions: inputs.get("extensions").map(extensions).unwrap_or_default(),
        query: String::new(),
        limit: count("limit", 500).clamp(1, 5000),
        max_depth: count("max_depth", 0),
    };
    policy.ensure_root().map_err(|error| error.to_string())?;
    let listing = list(policy.roots(), &request).map_err(|error| match error {
        ListError::Path(refused) => refused.node_text(OP),
        other => other.to_string(),
    })?;
    let files: Vec<&str> = listing
        .items
        .iter()
        .filter(|entry| !entry.is_folder())
        .map(|entry| entry.path.as_str())
        .collect();
    let files = json!(files);
    let entries: Vec<Value> = listing.items.iter().map(super::list::Entry::to_value).collect();
    Ok(object([
        ("folder_path", Value::String(listing.folder_path)),
        ("files", files),
        ("count", json!(entries.len())),
        ("entries", Value::Array(entries)),
        ("truncated", Value::Bool(listing.truncated)),
    ]))
}

/// What a value looks like in a file.
fn file_text(shown: &str, content: &Value) -> Result<String, String> {
    if is_json(shown) {
        let pretty = match content {
            Value::String(text) => {
                let parsed: Value = serde_json::from_str(text)
                    .map_err(|error| format!("write_file JSON content must be valid JSON: {error}"))?;
                ag_pyvalue::dumps_pretty(&parsed)
            }
            other => ag_pyvalue::dumps_pretty(other),
        };
        return Ok(pretty + "\n");
    }
    Ok(match content {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(_) | Value::Array(_) => ag_pyvalue::dumps_pretty(content),
        other => ag_pyvalue::pystr(other).into_owned(),
    })
}

fn resolve(policy: &WorkspacePolicy, op: &str, file_path: &Value) -> Result<(PathBuf, String), String> {
    let raw = file_path.as_str().unwrap_or_default();
    let path = policy.resolve(raw).map_err(|error| error.node_text(op))?;
    let shown = policy.virtual_path(&path);
    Ok((path, shown))
}

fn missing_or(error: &io::Error, shown: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => format!("File not found: {shown}"),
        _ => format!("Cannot read '{shown}': {error}"),
    }
}

fn is_json(path: &str) -> bool {
    path.to_lowercase().ends_with(".json")
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Object {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::AccessMode;

    fn policy(dir: &tempfile::TempDir) -> WorkspacePolicy {
        WorkspacePolicy::new(&dir.path().join("ws"), AccessMode::WorkspaceOnly, &[], &[])
    }

    /// Sizes and contents as recorded.
    #[test]
    fn round_trips_keep_their_recorded_shape() {
        let cases = [
            (
                "out/data.json",
                json!({"b": [1, 2.5, null], "a": "é"}),
                55,
                json!({"b": [1, 2.5, null], "a": "é"}),
            ),
            (
                "notes/a.txt",
                json!("héllo\nworld ✓"),
                16,
                json!("héllo\nworld ✓"),
            ),
            ("o.txt", json!({"k": [1]}), 22, json!({"k": [1]})),
            ("looks.txt", json!("  {\"x\": 1} "), 11, json!({"x": 1})),
            ("c.json", json!("{\"k\":1}"), 13, json!({"k": 1})),
            ("n.txt", Value::Null, 0, json!("")),
            ("t.txt", json!(true), 4, json!("True")),
            ("broken.txt", json!("{not json"), 9, json!("{not json")),
        ];
        let dir = tempfile::tempdir().expect("tempdir");
        let policy = policy(&dir);
        for (path, content, bytes, read) in cases {
            let wrote = write_file(&policy, &json!(path), &content).expect(path);
            assert_eq!(Value::Object(wrote), json!({"bytes": bytes, "file_path": path}));
            let found = read_file(&policy, &json!(path)).expect(path);
            assert_eq!(Value::Object(found), json!({"content": read, "file_path": path}));
        }
    }

    #[test]
    fn failures_have_the_recorded_texts() {
        let dir = tempfile::tempdir().expect("tempdir");
        let policy = policy(&dir);
        let read = |path: Value| read_file(&policy, &path).expect_err("refused");
        assert_eq!(
            read(json!("/etc/hostname")),
            "read_file path rejected by workspace policy: path is outside workspace roots"
        );
        assert_eq!(
            read(json!("../../secret.txt")),
            "read_file path rejected by workspace policy: Path escapes workspace_root: '../../secret.txt'"
        );
        assert_eq!(read(json!("nope.txt")), "File not found: nope.txt");
        assert_eq!(
            read(json!(3)),
            "read_file requires a non-empty 'file_path' input."
        );
        let write =
            |path: &str, content: Value| write_file(&policy, &json!(path), &content).expect_err("refused");
        assert_eq!(
            write("../escape.txt", json!("x")),
            "write_file path rejected by workspace policy: Path escapes workspace_root: '../escape.txt'"
        );
        assert!(
            write("bad.json", json!("{not json")).starts_with("write_file JSON content must be valid JSON: ")
        );
        let list = |inputs: Value| {
            list_folder_files(&policy, &serde_json::from_value(inputs).expect("object")).expect_err("refused")
        };
        assert_eq!(list(json!({"folder_path": "ghost"})), "Folder not found: ghost");
        assert_eq!(
            list(json!({"folder_path": "/etc"})),
            "list_folder_files path rejected by workspace policy: path is outside workspace roots"
        );
    }

    /// The recorded recursive listing.
    #[test]
    fn listings_have_the_recorded_entries() {
        let dir = tempfile::tempdir().expect("tempdir");
        let policy = policy(&dir);
        for (path, content) in [
            ("a.md", json!("# A")),
            ("sub/b.py", json!("print(1)")),
            ("sub/c.json", json!({"k": 1})),
            ("sub/deep/d.txt", json!("d")),
        ] {
            write_file(&policy, &json!(path), &content).expect(path);
        }
        let inputs = json!({"folder_path": ".", "recursive": true, "include_directories": true});
        let listing =
            list_folder_files(&policy, &serde_json::from_value(inputs).expect("object")).expect("listing");
        assert_eq!(listing["folder_path"], "");
        assert_eq!(listing["count"], 6);
        assert_eq!(listing["truncated"], false);
        let mut files: Vec<&str> = listing["files"]
            .as_array()
            .expect("files")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        files.sort_unstable();
        assert_eq!(files, ["a.md", "sub/b.py", "sub/c.json", "sub/deep/d.txt"]);
        let sizes: Vec<(&str, Option<u64>)> = listing["entries"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| {
                (
                    entry["family"].as_str().unwrap_or_default(),
                    entry["size_bytes"].as_u64(),
                )
            })
            .collect();
        for expected in [
            ("code", Some(3)),
            ("code", Some(8)),
            ("json", Some(13)),
            ("text", Some(1)),
            ("folder", None),
        ] {
            assert!(sizes.contains(&expected), "{expected:?} in {sizes:?}");
        }
    }
}
