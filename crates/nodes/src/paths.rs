//! Paths that authors write: `a.b[0].c`, `a.0.c`.

use ag_types::Object;
use serde_json::Value;

/// Reads `path` from `value`; empty segments are skipped, an empty path reads nothing.
pub(crate) fn read<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut segments = path
        .split(['.', '[', ']'])
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .peekable();
    segments.peek()?;
    segments.try_fold(value, |value, segment| match value {
        Value::Object(map) => map.get(segment),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Writes at a dotted path, replacing scalars on the way by objects.
pub(crate) fn write(object: &mut Object, path: &str, value: Value) {
    ag_kernel::vars::set_path(object, path, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dots_and_brackets_are_the_same() {
        let value = json!({"a": {"b": [10, {"c": "x"}]}, "": 1});
        for path in ["a.b[1].c", "a.b.1.c", "a.b[1][c]", " a . b [ 1 ] . c "] {
            assert_eq!(read(&value, path), Some(&json!("x")), "{path}");
        }
        for path in ["", ".", "a.b[2]", "a.b[-1]", "a.b.x", "z"] {
            assert_eq!(read(&value, path), None, "{path}");
        }
        assert_eq!(read(&json!([5, 6]), "1"), Some(&json!(6)));
    }
}
