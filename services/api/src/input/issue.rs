//! One failing field, as the 422 answer shows it.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// A part of a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loc {
    /// A name: `query`, `body`, a field.
    Name(Cow<'static, str>),
    /// A position: in a list, or of a syntax error.
    Index(usize),
}

impl Serialize for Loc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Index(index) => serializer.serialize_u64(*index as u64),
        }
    }
}

impl From<&'static str> for Loc {
    fn from(name: &'static str) -> Self {
        Self::Name(Cow::Borrowed(name))
    }
}

/// What was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// This value.
    Value(Value),
    /// The object that lacks the field. Its fields may have been taken out while reading; it is put in from the
    /// request's bytes once the whole request is known to fail.
    Parent,
}

/// A failing field.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Kind of the failure.
    pub kind: &'static str,
    /// Where.
    pub loc: Vec<Loc>,
    /// For people.
    pub msg: Cow<'static, str>,
    /// What was given.
    pub input: Given,
    /// The broken bound, if there is one.
    pub ctx: Option<(&'static str, Value)>,
}

impl Serialize for Issue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind)?;
        map.serialize_entry("loc", &self.loc)?;
        map.serialize_entry("msg", &self.msg)?;
        match &self.input {
            Given::Value(value) => map.serialize_entry("input", value)?,
            Given::Parent => map.serialize_entry("input", &Value::Null)?,
        }
        if let Some((name, bound)) = &self.ctx {
            map.serialize_entry(
                "ctx",
                &serde_json::Map::from_iter([((*name).to_owned(), bound.clone())]),
            )?;
        }
        map.end()
    }
}
