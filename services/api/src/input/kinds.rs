//! Kinds of fields, with the lax conversions of the contract's validation: numbers and booleans may come as text.

mod number;

use std::{borrow::Cow, fmt, marker::PhantomData};

use ag_types::Object;
use serde_json::Value;

use super::{Fields, Issue, Loc, issue::Given};

pub use number::{Float, Int, float, int};

pub(super) const NOT_AN_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";

/// A kind of field.
pub trait Kind {
    /// What it becomes.
    type Out: Default;
    /// Whether repeated query keys are one value.
    const MANY: bool = false;

    /// Reads a value; `None` after an issue was reported.
    fn read(&self, value: Value, at: &mut At<'_>) -> Option<Self::Out>;
}

/// The place of the value that is read.
pub struct At<'a> {
    loc: &'a mut Vec<Loc>,
    issues: &'a mut Vec<Issue>,
}

impl<'a> At<'a> {
    pub(super) fn new(loc: &'a mut Vec<Loc>, issues: &'a mut Vec<Issue>) -> Self {
        Self { loc, issues }
    }

    /// Reports an issue with the value.
    pub fn fail<T>(
        &mut self,
        kind: &'static str,
        msg: impl Into<Cow<'static, str>>,
        input: Value,
    ) -> Option<T> {
        self.push(kind, msg.into(), input, None)
    }

    /// Reports a broken bound.
    pub fn out_of_bounds<T>(
        &mut self,
        kind: &'static str,
        msg: String,
        input: Value,
        name: &'static str,
        bound: impl Into<Value>,
    ) -> Option<T> {
        self.push(kind, msg.into(), input, Some((name, bound.into())))
    }

    fn push<T>(
        &mut self,
        kind: &'static str,
        msg: Cow<'static, str>,
        input: Value,
        ctx: Option<(&'static str, Value)>,
    ) -> Option<T> {
        self.issues.push(Issue {
            kind,
            loc: self.loc.clone(),
            msg,
            input: Given::Value(input),
            ctx,
        });
        None
    }

    /// Reads something one level down.
    pub fn within<T>(&mut self, part: impl Into<Loc>, read: impl FnOnce(&mut At<'_>) -> T) -> T {
        self.loc.push(part.into());
        let out = read(&mut At {
            loc: self.loc,
            issues: self.issues,
        });
        self.loc.pop();
        out
    }
}

/// Text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text {
    min: usize,
    max: Option<usize>,
}

/// Any text.
pub const fn string() -> Text {
    Text { min: 0, max: None }
}

impl Text {
    /// At least this many characters.
    #[must_use]
    pub const fn min_len(self, min: usize) -> Self {
        Self { min, ..self }
    }

    /// At most this many characters.
    #[must_use]
    pub const fn max_len(self, max: usize) -> Self {
        Self {
            max: Some(max),
            ..self
        }
    }
}

impl Kind for Text {
    type Out = String;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<String> {
        let Value::String(text) = value else {
            return at.fail("string_type", "Input should be a valid string", value);
        };
        if self.min == 0 && self.max.is_none() {
            return Some(text);
        }
        let chars = text.chars().count();
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if chars < self.min {
            let msg = format!(
                "String should have at least {} character{}",
                self.min,
                plural(self.min)
            );
            return at.out_of_bounds("string_too_short", msg, text.into(), "min_length", self.min);
        }
        match self.max {
            Some(max) if chars > max => {
                let msg = format!("String should have at most {max} character{}", plural(max));
                at.out_of_bounds("string_too_long", msg, text.into(), "max_length", max)
            }
            _ => Some(text),
        }
    }
}

/// True or false.
#[derive(Debug, Clone, Copy)]
pub struct Boolean;

/// A boolean; texts and the numbers 0 and 1 are understood.
pub const fn boolean() -> Boolean {
    Boolean
}

impl Kind for Boolean {
    type Out = bool;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<bool> {
        const UNCLEAR: &str = "Input should be a valid boolean, unable to interpret input";
        match &value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match truth(text) {
                Some(flag) => Some(flag),
                None => at.fail("bool_parsing", UNCLEAR, value),
            },
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                Some(number) if number.fract() == 0.0 => at.fail("bool_parsing", UNCLEAR, value),
                _ => at.fail("bool_type", "Input should be a valid boolean", value),
            },
            _ => at.fail("bool_type", "Input should be a valid boolean", value),
        }
    }
}

/// The words for true and false, in any case.
fn truth(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "1", "yes", "on", "t", "y"]) {
        Some(true)
    } else if is(&["false", "0", "no", "off", "f", "n"]) {
        Some(false)
    } else {
        None
    }
}

/// A boolean or a text, kept as it was given.
#[derive(Debug, Clone, Copy)]
pub struct BooleanOrString;

/// `bool | str`.
pub const fn boolean_or_string() -> BooleanOrString {
    BooleanOrString
}

impl Kind for BooleanOrString {
    type Out = Value;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<Value> {
        match &value {
            Value::Bool(_) | Value::String(_) => Some(value),
            Value::Number(number) if matches!(number.as_f64(), Some(0.0 | 1.0)) => {
                Some(Value::Bool(number.as_f64() == Some(1.0)))
            }
            _ => {
                at.within("bool", |at| Boolean.read(value.clone(), at));
                at.within("str", |at| string().read(value, at));
                None
            }
        }
    }
}

/// A JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Dict;

/// A JSON object of any content.
pub const fn object() -> Dict {
    Dict
}

impl Kind for Dict {
    type Out = Object;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<Object> {
        match value {
            Value::Object(object) => Some(object),
            other => at.fail("dict_type", "Input should be a valid dictionary", other),
        }
    }
}

/// Any JSON value.
#[derive(Debug, Clone, Copy)]
pub struct Anything;

/// Any JSON value, null included.
pub const fn any() -> Anything {
    Anything
}

impl Kind for Anything {
    type Out = Value;

    fn read(&self, value: Value, _: &mut At<'_>) -> Option<Value> {
        Some(value)
    }
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub struct List<K>(K);

/// A list of one kind.
pub const fn list<K: Kind>(of: K) -> List<K> {
    List(of)
}

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;
    const MANY: bool = true;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<Self::Out> {
        let Value::Array(items) = value else {
            return at.fail("list_type", "Input should be a valid list", value);
        };
        let mut out = Vec::with_capacity(items.len());
        let mut complete = true;
        for (index, item) in items.into_iter().enumerate() {
            match at.within(Loc::Index(index), |at| self.0.read(item, at)) {
                Some(item) => out.push(item),
                None => complete = false,
            }
        }
        complete.then_some(out)
    }
}

/// An object with fields of its own inside a body.
pub trait NestedFields: Default {
    /// Reads the fields.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// An object with known fields.
pub struct Nested<T>(PhantomData<fn() -> T>);

/// An object with the fields of `T`.
pub const fn nested<T: NestedFields>() -> Nested<T> {
    Nested(PhantomData)
}

impl<T> fmt::Debug for Nested<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nested")
    }
}

impl<T: NestedFields> Kind for Nested<T> {
    type Out = T;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<T> {
        let mut object = match value {
            Value::Object(object) => object,
            other => return at.fail("model_attributes_type", NOT_AN_OBJECT, other),
        };
        let before = at.issues.len();
        let out = T::read(&mut Fields::nested(&mut object, at.loc.clone(), at.issues));
        (at.issues.len() == before).then_some(out)
    }
}
