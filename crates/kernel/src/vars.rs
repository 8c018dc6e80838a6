//! Dotted paths into JSON: `a.b`, `a.0`, `a[0].b`.

use ag_types::Object;
use serde_json::Value;

/// Reads a dotted path whose segments are keys or list indexes (`a.b.0`). Missing gives `None`.
pub fn get_path<'v>(vars: &'v Object, path: &str) -> Option<&'v Value> {
    let mut segments = path.split('.');
    let mut value = vars.get(segments.next()?)?;
    for segment in segments {
        value = match value {
            Value::Object(map) => map.get(segment)?,
            Value::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Deepest path that is followed; what comes after it is one key. JSON text deeper than 128 levels cannot be read
/// back, and a name is client input.
const MAX_SEGMENTS: usize = 64;

/// Deepest result of an effect that is kept: it is stored below `_temp.effects.<node>`, in records and in the
/// results of parents, all of which must stay readable (128 levels).
pub const MAX_RESULT_DEPTH: usize = 96;

/// True if the value is nested deeper than `limit` levels; looks no deeper than that.
pub fn is_deeper_than(value: &Value, limit: usize) -> bool {
    match value {
        Value::Object(map) => limit == 0 || map.values().any(|member| is_deeper_than(member, limit - 1)),
        Value::Array(items) => limit == 0 || items.iter().any(|item| is_deeper_than(item, limit - 1)),
        _ => false,
    }
}

/// The object at a dotted path, created (replacing scalars) where it is missing.
pub fn object_at<'v>(vars: &'v mut Object, path: &str) -> &'v mut Object {
    let mut map = vars;
    for segment in path.splitn(MAX_SEGMENTS, '.') {
        let slot = map.entry(segment).or_insert_with(|| Value::Object(Object::new()));
        if !slot.is_object() {
            *slot = Value::Object(Object::new());
        }
        let Value::Object(next) = slot else {
            unreachable!("made an object above")
        };
        map = next;
    }
    map
}

/// Sections that exist as soon as something asks for the conversation or the memory of a run. Clients see those that
/// are no internals among the variables (recorded).
pub const SECTIONS: [&str; 4] = ["context", "scratchpad", "_runtime", "_temp"];

/// Makes the [`SECTIONS`] that are missing or no objects.
pub fn ensure_sections(vars: &mut Object) {
    for section in SECTIONS {
        object_at(vars, section);
    }
}

/// Writes at a dotted path; missing or scalar parents become objects (list indexes are not supported, as specified
/// for `set_var`).
pub fn set_path(vars: &mut Object, path: &str, value: Value) {
    match path.rsplit_once('.') {
        Some((parent, key)) => object_at(vars, parent).insert(key.to_owned(), value),
        None => vars.insert(path.to_owned(), value),
    };
}

/// Removes the value at a dotted path.
pub fn remove_path(vars: &mut Object, path: &str) -> Option<Value> {
    let Some((parent, key)) = path.rsplit_once('.') else {
        return vars.shift_remove(path);
    };
    let mut map = vars;
    for segment in parent.split('.') {
        map = map.get_mut(segment)?.as_object_mut()?;
    }
    map.shift_remove(key)
}

/// Text at a dotted path.
pub fn text_at<'v>(vars: &'v Object, path: &str) -> Option<&'v str> {
    get_path(vars, path)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_keys_and_indexes() {
        let Value::Object(vars) = json!({"a": {"b": [1, {"c": 2}]}, "x.y": 3}) else {
            panic!("object")
        };
        assert_eq!(get_path(&vars, "a.b.1.c"), Some(&json!(2)));
        assert_eq!(get_path(&vars, "a.b.9"), None);
        assert_eq!(get_path(&vars, "a.b.c"), None);
        assert_eq!(get_path(&vars, ""), None);
    }

    #[test]
    fn writes_create_parents_and_replace_scalars() {
        let mut vars = Object::new();
        set_path(&mut vars, "a.b.c", json!(1));
        set_path(&mut vars, "a.b.c.d", json!(2));
        assert_eq!(Value::Object(vars.clone()), json!({"a": {"b": {"c": {"d": 2}}}}));
        assert_eq!(remove_path(&mut vars, "a.b.c"), Some(json!({"d": 2})));
        assert_eq!(remove_path(&mut vars, "a.z.c"), None);
    }
}
