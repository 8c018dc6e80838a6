//! A small JSON Schema check: what models get wrong, with the failing place named for them.
//!
//! Covered: `type`, `enum`, `const`, `required`, `properties`, `additionalProperties`, `items`, `minItems`, `maxItems`,
//! `minimum`, `maximum`, `minLength`, `maxLength`, `anyOf`, `oneOf` (as `anyOf`), `allOf`. Other keywords are ignored;
//! references must have been inlined.

use serde_json::Value;

use crate::Object;

/// The first thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Violation {
    /// Such as `$.items[2].name`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// Checks a value.
///
/// # Errors
/// The first [`Violation`].
pub fn validate(schema: &Object, value: &Value) -> Result<(), Violation> {
    let mut checker = Checker {
        path: "$".to_owned(),
        budget: MAX_CHECKS,
    };
    checker.check(schema, value)
}

/// Schema nodes times values looked at. Alternatives inside alternatives over long lists could otherwise be made
/// arbitrarily slow; what is beyond the budget counts as fitting.
const MAX_CHECKS: usize = 1_000_000;

struct Checker {
    path: String,
    budget: usize,
}

impl Checker {
    fn fail(&self, problem: impl Into<String>) -> Result<(), Violation> {
        Err(Violation {
            path: self.path.clone(),
            problem: problem.into(),
        })
    }

    fn check(&mut self, schema: &Object, value: &Value) -> Result<(), Violation> {
        if self.budget == 0 {
            return Ok(());
        }
        self.budget -= 1;
        self.check_type(schema, value)?;
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.contains(value)
        {
            return self.fail(format!("must be one of {}", Value::Array(allowed.clone())));
        }
        if let Some(constant) = schema.get("const")
            && constant != value
        {
            return self.fail(format!("must be {constant}"));
        }
        match value {
            Value::Object(map) => self.check_object(schema, map)?,
            Value::Array(items) => self.check_array(schema, items)?,
            Value::String(text) => {
                self.check_range(
                    schema,
                    "minLength",
                    "maxLength",
                    || text.chars().count() as f64,
                    "characters",
                )?;
            }
            Value::Number(number) => {
                self.check_range(
                    schema,
                    "minimum",
                    "maximum",
                    || number.as_f64().unwrap_or_default(),
                    "",
                )?;
            }
            Value::Null | Value::Bool(_) => {}
        }
        self.check_combinations(schema, value)
    }

    fn check_type(&self, schema: &Object, value: &Value) -> Result<(), Violation> {
        let fits = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            // 3.0 is an integer in JSON Schema.
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => true,
        };
        match schema.get("type") {
            Some(Value::String(name)) if !fits(name) => {
                self.fail(format!("expected {name}, found {}", type_name(value)))
            }
            Some(Value::Array(names)) if !names.iter().filter_map(Value::as_str).any(fits) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                self.fail(format!(
                    "expected {}, found {}",
                    names.join(" or "),
                    type_name(value)
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_object(&mut self, schema: &Object, map: &Object) -> Result<(), Violation> {
        if let Some(Value::Array(required)) = schema.get("required") {
            for name in required.iter().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    return self.fail(format!("missing required property '{name}'"));
                }
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        for (name, value) in map {
            let inner = match (properties.and_then(|properties| properties.get(name)), additional) {
                (Some(schema), _) => schema,
                (None, Some(Value::Bool(false))) => {
                    return self.fail(format!("unexpected property '{name}'"));
                }
                (None, Some(schema)) => schema,
                (None, None) => continue,
            };
            if let Value::Object(inner) = inner {
                self.within(&format!(".{name}"), |checker| checker.check(inner, value))?;
            }
        }
        Ok(())
    }

    fn check_array(&mut self, schema: &Object, items: &[Value]) -> Result<(), Violation> {
        self.check_range(schema, "minItems", "maxItems", || items.len() as f64, "items")?;
        if let Some(Value::Object(inner)) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.within(&format!("[{index}]"), |checker| checker.check(inner, item))?;
            }
        }
        Ok(())
    }

    fn check_range(
        &self,
        schema: &Object,
        least: &str,
        most: &str,
        size: impl Fn() -> f64,
        unit: &str,
    ) -> Result<(), Violation> {
        if let Some(limit) = schema.get(least).and_then(Value::as_f64)
            && size() < limit
        {
            return self.fail(format!("must be at least {limit} {unit}").trim_end().to_owned());
        }
        if let Some(limit) = schema.get(most).and_then(Value::as_f64)
            && size() > limit
        {
            return self.fail(format!("must be at most {limit} {unit}").trim_end().to_owned());
        }
        Ok(())
    }

    fn check_combinations(&mut self, schema: &Object, value: &Value) -> Result<(), Violation> {
        if let Some(Value::Array(all)) = schema.get("allOf") {
            for part in all.iter().filter_map(Value::as_object) {
                self.check(part, value)?;
            }
        }
        for key in ["anyOf", "oneOf"] {
            let Some(Value::Array(options)) = schema.get(key) else {
                continue;
            };
            let mut first = None;
            let mut fitting = false;
            for option in options {
                let Value::Object(option) = option else {
                    fitting = true;
                    break;
                };
                match self.check(option, value) {
                    Ok(()) => {
                        fitting = true;
                        break;
                    }
                    Err(violation) => first = first.or(Some(violation)),
                }
            }
            if let (false, Some(violation)) = (fitting, first) {
                return Err(violation);
            }
        }
        Ok(())
    }

    fn within(
        &mut self,
        step: &str,
        check: impl FnOnce(&mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let length = self.path.len();
        self.path.push_str(step);
        let result = check(self);
        self.path.truncate(length);
        result
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_failing_place_is_named() {
        let schema = json!({
            "type": "object",
            "required": ["name", "tags"],
            "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "age": {"type": ["integer", "null"], "minimum": 0},
                "mood": {"enum": ["good", "bad"]},
                "tags": {"type": "array", "maxItems": 2, "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}
            }
        });
        let schema = schema.as_object().expect("object");
        let cases = [
            (json!({"name":"a","tags":["x",1],"age":3.0,"mood":"good"}), None),
            (json!({"name":"a","tags":[],"age":null}), None),
            (json!([]), Some("$: expected object, found array")),
            (json!({"name":"a"}), Some("$: missing required property 'tags'")),
            (
                json!({"name":1,"tags":[]}),
                Some("$.name: expected string, found number"),
            ),
            (
                json!({"name":"","tags":[]}),
                Some("$.name: must be at least 1 characters"),
            ),
            (
                json!({"name":"a","tags":[],"x":1}),
                Some("$: unexpected property 'x'"),
            ),
            (
                json!({"name":"a","tags":["x",true]}),
                Some("$.tags[1]: expected string, found boolean"),
            ),
            (
                json!({"name":"a","tags":[1,2,3]}),
                Some("$.tags: must be at most 2 items"),
            ),
            (
                json!({"name":"a","tags":[],"age":1.5}),
                Some("$.age: expected integer or null, found number"),
            ),
            (
                json!({"name":"a","tags":[],"age":-1}),
                Some("$.age: must be at least 0"),
            ),
            (
                json!({"name":"a","tags":[],"mood":"?"}),
                Some("$.mood: must be one of [\"good\",\"bad\"]"),
            ),
        ];
        for (value, problem) in cases {
            let found = validate(schema, &value)
                .err()
                .map(|violation| violation.to_string());
            assert_eq!(found.as_deref(), problem, "{value}");
        }
    }
}
