//! JSON to interpreter values and back.
//!
//! The way back follows Python's `json`: tuples are lists, keys that are numbers, booleans or None
//! become text, and what `json.dumps` refuses is refused with its message. Integers beyond 64 bits
//! become the nearest double and NaN and infinities null, because JSON values hold neither.

use monty_types::MontyObject;
use serde_json::{Map, Number, Value};

/// Deepest nesting either way; JSON readers stop at 128, and results are stored inside records.
const MAX_NESTING: usize = 100;

/// Why a value did not make it.
#[derive(Debug, PartialEq)]
pub(crate) enum ConvertError {
    /// `type_name` and the full text with its exception name.
    Unserialisable { type_name: String, error: String },
    /// Nested deeper than [`MAX_NESTING`].
    TooDeep,
    /// Larger than the limit, in bytes.
    TooLarge { limit: usize },
}

/// A deep copy of `value` for the interpreter.
pub(crate) fn to_python(value: &Value) -> Result<MontyObject, ConvertError> {
    to_python_at(value, MAX_NESTING)
}

fn to_python_at(value: &Value, depth: usize) -> Result<MontyObject, ConvertError> {
    Ok(match value {
        Value::Null => MontyObject::None,
        Value::Bool(flag) => MontyObject::Bool(*flag),
        Value::Number(number) => number_to_python(number),
        Value::String(text) => MontyObject::String(text.clone()),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(ConvertError::TooDeep)?;
            let items: Result<Vec<_>, _> = items.iter().map(|item| to_python_at(item, depth)).collect();
            MontyObject::List(items?)
        }
        Value::Object(map) => {
            let depth = depth.checked_sub(1).ok_or(ConvertError::TooDeep)?;
            let pairs: Result<Vec<_>, _> = map
                .iter()
                .map(|(key, item)| Ok((MontyObject::String(key.clone()), to_python_at(item, depth)?)))
                .collect();
            MontyObject::dict(pairs?)
        }
    })
}

fn number_to_python(number: &Number) -> MontyObject {
    if let Some(integer) = number.as_i64() {
        return MontyObject::Int(integer);
    }
    if let Some(Ok(big)) = number.as_u64().map(|integer| integer.to_string().parse()) {
        return MontyObject::BigInt(big);
    }
    MontyObject::Float(number.as_f64().unwrap_or(f64::NAN))
}

/// The JSON form of a result, at most about `limit` bytes.
pub(crate) fn to_json(object: MontyObject, limit: usize) -> Result<Value, ConvertError> {
    let mut budget = Budget { left: limit, limit };
    to_json_at(object, MAX_NESTING, &mut budget)
}

struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    fn charge(&mut self, bytes: usize) -> Result<(), ConvertError> {
        let limit = self.limit;
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(ConvertError::TooLarge { limit })?;
        Ok(())
    }
}

fn to_json_at(object: MontyObject, depth: usize, budget: &mut Budget) -> Result<Value, ConvertError> {
    // Quotes and a separator; numbers are charged like short texts.
    budget.charge(4)?;
    Ok(match object {
        MontyObject::None => Value::Null,
        MontyObject::Bool(flag) => Value::Bool(flag),
        MontyObject::Int(integer) => Value::from(integer),
        MontyObject::BigInt(integer) => {
            // Beyond 1024 bits a double is infinite anyway, and printing would take quadratic time.
            let double = || {
                (integer.bits() <= 1024)
                    .then(|| integer.to_string().parse::<f64>().ok())
                    .flatten()
            };
            match u64::try_from(&integer) {
                Ok(small) => Value::from(small),
                Err(_) => double().map_or(Value::Null, Value::from),
            }
        }
        MontyObject::Float(double) => Value::from(double),
        MontyObject::String(text) => {
            budget.charge(text.len())?;
            Value::String(text)
        }
        MontyObject::List(items)
        | MontyObject::Tuple(items)
        | MontyObject::NamedTuple { values: items, .. } => {
            let depth = depth.checked_sub(1).ok_or(ConvertError::TooDeep)?;
            let items: Result<Vec<_>, _> = items
                .into_iter()
                .map(|item| to_json_at(item, depth, budget))
                .collect();
            Value::Array(items?)
        }
        MontyObject::Dict(pairs) => {
            let depth = depth.checked_sub(1).ok_or(ConvertError::TooDeep)?;
            let mut map = Map::with_capacity(pairs.len());
            for (key, item) in pairs {
                let key = key_text(key)?;
                budget.charge(key.len() + 4)?;
                map.insert(key, to_json_at(item, depth, budget)?);
            }
            Value::Object(map)
        }
        MontyObject::Cycle(..) => {
            return Err(ConvertError::Unserialisable {
                type_name: "cycle".to_owned(),
                error: "ValueError: Circular reference detected".to_owned(),
            });
        }
        // What the interpreter answers for values nested beyond its recursion limit.
        MontyObject::Repr(text) if text == "<deeply nested>" => return Err(ConvertError::TooDeep),
        other => {
            let type_name = type_name(&other);
            let error = format!("TypeError: Object of type {type_name} is not JSON serializable");
            return Err(ConvertError::Unserialisable { type_name, error });
        }
    })
}

fn key_text(key: MontyObject) -> Result<String, ConvertError> {
    Ok(match key {
        MontyObject::String(text) => text,
        MontyObject::Int(integer) => integer.to_string(),
        MontyObject::BigInt(integer) if integer.bits() <= 14_000 => integer.to_string(),
        MontyObject::Bool(flag) => if flag { "true" } else { "false" }.to_owned(),
        MontyObject::None => "null".to_owned(),
        MontyObject::Float(double) if double.is_nan() => "NaN".to_owned(),
        MontyObject::Float(double) if double.is_infinite() => {
            if double > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        float @ MontyObject::Float(_) => float.py_repr(),
        other => {
            let type_name = type_name(&other);
            let error = format!("TypeError: keys must be str, int, float, bool or None, not {type_name}");
            return Err(ConvertError::Unserialisable { type_name, error });
        }
    })
}

/// Python's name for the type of a value without JSON form.
fn type_name(object: &MontyObject) -> String {
    let fixed = match object {
        MontyObject::Set(_) => "set",
        MontyObject::FrozenSet(_) => "frozenset",
        MontyObject::Bytes(_) => "bytes",
        MontyObject::Tuple(_) | MontyObject::NamedTuple { .. } => "tuple",
        MontyObject::Ellipsis => "ellipsis",
        MontyObject::NotImplemented => "NotImplementedType",
        MontyObject::Type(_) => "type",
        MontyObject::BuiltinFunction(_) => "builtin_function_or_method",
        MontyObject::Function { .. } => "function",
        MontyObject::Date(_) => "date",
        MontyObject::DateTime(_) => "datetime",
        MontyObject::Time(_) => "time",
        MontyObject::TimeDelta(_) => "timedelta",
        MontyObject::TimeZone(_) => "timezone",
        MontyObject::Path(_) => "PosixPath",
        MontyObject::FileHandle(_) => "TextIOWrapper",
        MontyObject::Exception { exc_type, .. } => return exc_type.to_string(),
        MontyObject::ClassInstance(instance) => return instance.class_type.name.clone(),
        MontyObject::Repr(text) => return name_in_repr(text),
        _ => "object",
    };
    fixed.to_owned()
}

/// `<map object>` is a `map`, `range(0, 3)` a `range`, `<function f at …>` a `function`.
fn name_in_repr(text: &str) -> String {
    let name: String = text
        .trim_start_matches('<')
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.')
        .take(64)
        .collect();
    if name.is_empty() {
        "object".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn text(value: &str) -> MontyObject {
        MontyObject::String(value.to_owned())
    }

    #[test]
    fn json_round_trip_keeps_numbers_and_order() {
        let value = json!({"z": 1, "a": [1.0, -0.0, 1e300, true, null, "é", u64::MAX, i64::MIN], "m": {}});
        let python = to_python(&value).expect("shallow");
        assert_eq!(
            to_json(python, LIMIT).expect("plain").to_string(),
            value.to_string()
        );
    }

    #[test]
    fn python_values_follow_json_dumps() {
        let pairs = vec![
            (MontyObject::Int(0), MontyObject::Tuple(vec![MontyObject::Int(1)])),
            (MontyObject::Bool(true), MontyObject::Float(f64::NAN)),
            (MontyObject::None, MontyObject::Float(f64::INFINITY)),
            (
                MontyObject::Float(1.0),
                MontyObject::BigInt("123456789012345678901234567890".parse().expect("digits")),
            ),
            (
                text("u"),
                MontyObject::BigInt("18446744073709551615".parse().expect("digits")),
            ),
        ];
        let value = to_json(MontyObject::dict(pairs), LIMIT).expect("serialisable");
        assert_eq!(
            value,
            json!({"0": [1], "true": null, "null": null, "1.0": 123456789012345678901234567890.0, "u": u64::MAX})
        );
    }

    #[test]
    fn refused_types() {
        let cases = [
            (
                MontyObject::Set(vec![]),
                "set",
                "TypeError: Object of type set is not JSON serializable",
            ),
            (
                MontyObject::Bytes(vec![1]),
                "bytes",
                "TypeError: Object of type bytes is not JSON serializable",
            ),
            (
                MontyObject::Repr("range(0, 3)".into()),
                "range",
                "TypeError: Object of type range is not JSON serializable",
            ),
            (
                MontyObject::Repr("<map object>".into()),
                "map",
                "TypeError: Object of type map is not JSON serializable",
            ),
            (
                MontyObject::Cycle(1, "[...]".into()),
                "cycle",
                "ValueError: Circular reference detected",
            ),
            (
                MontyObject::dict(vec![(MontyObject::Tuple(vec![]), MontyObject::None)]),
                "tuple",
                "TypeError: keys must be str, int, float, bool or None, not tuple",
            ),
        ];
        for (object, name, message) in cases {
            let nested = MontyObject::List(vec![object]);
            let expected = ConvertError::Unserialisable {
                type_name: name.to_owned(),
                error: message.to_owned(),
            };
            assert_eq!(to_json(nested, LIMIT), Err(expected));
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let large = MontyObject::List(vec![text(&"a".repeat(600)), text(&"b".repeat(600))]);
        assert_eq!(to_json(large, 1000), Err(ConvertError::TooLarge { limit: 1000 }));
        let mut deep = MontyObject::None;
        let mut deep_json = Value::Null;
        for _ in 0..150 {
            deep = MontyObject::List(vec![deep]);
            deep_json = Value::Array(vec![deep_json]);
        }
        assert_eq!(to_json(deep, LIMIT), Err(ConvertError::TooDeep));
        assert_eq!(to_python(&deep_json).expect_err("deep"), ConvertError::TooDeep);
    }
}
