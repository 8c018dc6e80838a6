//! Where fields come from, and what is collected about them.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::{
    BodyRule, Issue, Loc,
    issue::Given,
    json_body,
    kinds::{At, Kind},
};
use crate::ApiError;
use ag_types::Object;

/// A request while it is read.
pub struct Reader {
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Option<Object>,
    bytes: Bytes,
    issues: Vec<Issue>,
}

impl Reader {
    /// A request; the body is parsed here if one is expected.
    pub fn new(
        path: Vec<(String, String)>,
        query: &str,
        rule: BodyRule,
        content_type: Option<&str>,
        bytes: Bytes,
    ) -> Self {
        let query = match query.is_empty() {
            true => Vec::new(),
            false => url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        };
        let mut reader = Self {
            path,
            query,
            body: None,
            bytes,
            issues: Vec::new(),
        };
        reader.read_body(rule, content_type);
        reader
    }

    fn read_body(&mut self, rule: BodyRule, content_type: Option<&str>) {
        let given = match rule {
            BodyRule::None => return,
            BodyRule::Optional if self.bytes.is_empty() => {
                self.body = Some(Object::new());
                return;
            }
            BodyRule::Required if self.bytes.is_empty() => {
                self.body_issue("missing", "Field required", Value::Null);
                return;
            }
            _ if !json_body::is_json(content_type) => {
                Ok(Value::String(String::from_utf8_lossy(&self.bytes).into_owned()))
            }
            _ => json_body::parse(&self.bytes),
        };
        match given {
            Ok(Value::Object(object)) => self.body = Some(object),
            Ok(Value::Null) if rule == BodyRule::Optional => self.body = Some(Object::new()),
            Ok(other) => self.body_issue("model_attributes_type", super::kinds::NOT_AN_OBJECT, other),
            Err(issue) => self.issues.push(*issue),
        }
    }

    fn body_issue(&mut self, kind: &'static str, msg: &'static str, input: Value) {
        let loc = vec!["body".into()];
        self.issues.push(Issue {
            kind,
            loc,
            msg: msg.into(),
            input: Given::Value(input),
            ctx: None,
        });
    }

    /// Path parameters.
    pub fn path(&mut self) -> Fields<'_> {
        Fields::new("path", Source::Texts(&mut self.path), &mut self.issues)
    }

    /// Query parameters. Of a repeated key the last value counts, except for lists.
    pub fn query(&mut self) -> Fields<'_> {
        Fields::new("query", Source::Texts(&mut self.query), &mut self.issues)
    }

    /// Members of the body; unknown ones are ignored.
    pub fn body(&mut self) -> Fields<'_> {
        let source = self.body.as_mut().map_or(Source::Unreadable, Source::Object);
        Fields::new("body", source, &mut self.issues)
    }

    /// Members of the body; unknown ones are refused.
    pub fn strict_body(&mut self) -> Fields<'_> {
        let mut fields = self.body();
        fields.known = Some(Vec::new());
        fields
    }

    /// The answer if anything failed.
    ///
    /// # Errors
    /// 422 with every issue.
    pub fn finish(mut self) -> Result<(), ApiError> {
        if self.issues.is_empty() {
            return Ok(());
        }
        // A syntax error is the only thing said about a body, and then about the request.
        if let Some(at) = self.issues.iter().position(|issue| issue.kind == "json_invalid") {
            return Err(ApiError::invalid(vec![self.issues.swap_remove(at)]));
        }
        if self.issues.iter().any(|issue| issue.input == Given::Parent) {
            let whole = serde_json::from_slice::<Value>(&self.bytes).unwrap_or_default();
            for issue in self
                .issues
                .iter_mut()
                .filter(|issue| issue.input == Given::Parent)
            {
                issue.input = Given::Value(parent_of(&whole, &issue.loc));
            }
        }
        Err(ApiError::invalid(self.issues))
    }
}

/// The value that should have held the field at `loc` (`["body", …, field]`).
fn parent_of(whole: &Value, loc: &[Loc]) -> Value {
    let inner = loc.get(1..loc.len().saturating_sub(1)).unwrap_or_default();
    let found = inner.iter().try_fold(whole, |value, part| match part {
        Loc::Name(name) => value.get(name.as_ref()),
        Loc::Index(index) => value.get(index),
    });
    found.cloned().unwrap_or_default()
}

enum Source<'r> {
    Texts(&'r mut Vec<(String, String)>),
    Object(&'r mut Object),
    /// The body is no object; that was said already.
    Unreadable,
}

/// Fields of one source.
pub struct Fields<'r> {
    source: Source<'r>,
    loc: Vec<Loc>,
    issues: &'r mut Vec<Issue>,
    /// Names asked for so far, where others are refused.
    known: Option<Vec<&'static str>>,
}

impl<'r> Fields<'r> {
    fn new(place: &'static str, source: Source<'r>, issues: &'r mut Vec<Issue>) -> Self {
        Self {
            source,
            loc: vec![place.into()],
            issues,
            known: None,
        }
    }

    /// Fields of an object inside a body.
    pub(super) fn nested(object: &'r mut Object, loc: Vec<Loc>, issues: &'r mut Vec<Issue>) -> Self {
        Self {
            source: Source::Object(object),
            loc,
            issues,
            known: None,
        }
    }

    /// A field that must be there.
    pub fn required<K: Kind>(&mut self, name: &'static str, kind: K) -> K::Out {
        match self.take(name, K::MANY) {
            Some(value) => self.read(name, &kind, value).unwrap_or_default(),
            None => {
                self.missing(name);
                K::Out::default()
            }
        }
    }

    /// A field that may be absent or null.
    pub fn optional<K: Kind>(&mut self, name: &'static str, kind: K) -> Option<K::Out> {
        let value = self.take(name, K::MANY).filter(|value| !value.is_null())?;
        self.read(name, &kind, value)
    }

    /// A field with a default; null is refused.
    pub fn or<K: Kind>(&mut self, name: &'static str, kind: K, default: impl Into<K::Out>) -> K::Out {
        match self.take(name, K::MANY) {
            Some(value) => self.read(name, &kind, value).unwrap_or_default(),
            None => default.into(),
        }
    }

    /// A field whose absence means its type's empty value; null is refused.
    pub fn or_default<K: Kind>(&mut self, name: &'static str, kind: K) -> K::Out {
        self.or(name, kind, K::Out::default())
    }

    /// Whether the field was sent at all, null included (for partial updates). Ask before reading it.
    pub fn has(&self, name: &str) -> bool {
        match &self.source {
            Source::Texts(texts) => texts.iter().any(|(key, _)| key == name),
            Source::Object(object) => object.contains_key(name),
            Source::Unreadable => false,
        }
    }

    fn take(&mut self, name: &'static str, many: bool) -> Option<Value> {
        if let Some(known) = &mut self.known {
            known.push(name);
        }
        match &mut self.source {
            Source::Texts(texts) if many => {
                let mut values = texts.iter_mut().filter(|(key, _)| key == name).peekable();
                values.peek()?;
                Some(
                    values
                        .map(|(_, value)| Value::String(std::mem::take(value)))
                        .collect(),
                )
            }
            Source::Texts(texts) => {
                let (_, value) = texts.iter_mut().rev().find(|(key, _)| key == name)?;
                Some(Value::String(std::mem::take(value)))
            }
            Source::Object(object) => object.get_mut(name).map(Value::take),
            Source::Unreadable => None,
        }
    }

    fn read<K: Kind>(&mut self, name: &'static str, kind: &K, value: Value) -> Option<K::Out> {
        self.loc.push(name.into());
        let read = kind.read(value, &mut At::new(&mut self.loc, self.issues));
        self.loc.pop();
        read
    }

    fn missing(&mut self, name: &'static str) {
        let input = match self.source {
            Source::Unreadable => return,
            Source::Texts(_) => Given::Value(Value::Null),
            Source::Object(_) => Given::Parent,
        };
        let mut loc = self.loc.clone();
        loc.push(name.into());
        self.issues.push(Issue {
            kind: "missing",
            loc,
            msg: "Field required".into(),
            input,
            ctx: None,
        });
    }
}

impl Drop for Fields<'_> {
    /// Reports unknown members of a strict body: known are those that were asked for.
    fn drop(&mut self) {
        let (Some(known), Source::Object(object)) = (&self.known, &mut self.source) else {
            return;
        };
        for (name, value) in object
            .iter_mut()
            .filter(|(name, _)| !known.contains(&name.as_str()))
        {
            let mut loc = self.loc.clone();
            loc.push(Loc::Name(Cow::Owned(name.clone())));
            let input = Given::Value(value.take());
            let msg = "Extra inputs are not permitted".into();
            self.issues.push(Issue {
                kind: "extra_forbidden",
                loc,
                msg,
                input,
                ctx: None,
            });
        }
    }
}
