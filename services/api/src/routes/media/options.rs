//! Options of media requests: read with their bounds, passed on under their names.

use ag_types::Object;
use serde_json::Value;

use crate::{
    ApiError, ApiResult,
    input::{At, Fields, Kind, boolean, float, int, list, object, string},
};

/// Options under construction; absent ones are left out.
pub(super) struct Options<'a, 'r> {
    fields: &'a mut Fields<'r>,
    out: Object,
}

impl<'a, 'r> Options<'a, 'r> {
    pub(super) fn of(fields: &'a mut Fields<'r>) -> Self {
        Self {
            fields,
            out: Object::new(),
        }
    }

    fn put(mut self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.out
            .extend(value.map(|value| (name.to_owned(), value.into())));
        self
    }

    /// Text of at most `max` characters; blank text counts as absent.
    pub(super) fn text(self, name: &'static str, max: usize) -> Self {
        let text = self.fields.optional(name, string().max_len(max));
        let text = text
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        self.put(name, text)
    }

    /// A whole number within bounds.
    pub(super) fn int(self, name: &'static str, min: i64, max: i64) -> Self {
        let number = self.fields.optional(name, int().ge(min).le(max));
        self.put(name, number)
    }

    /// Any whole number.
    pub(super) fn any_int(self, name: &'static str) -> Self {
        let number = self.fields.optional(name, int());
        self.put(name, number)
    }

    /// Any number.
    pub(super) fn float(self, name: &'static str) -> Self {
        let number = self.fields.optional(name, float());
        self.put(name, number)
    }

    /// A number from 0 to 1.
    pub(super) fn part(self, name: &'static str) -> Self {
        let number = self.fields.optional(name, float().ge(0.0).le(1.0));
        self.put(name, number)
    }

    /// A length in seconds, above 0 and up to an hour.
    pub(super) fn seconds(self, name: &'static str) -> Self {
        let number = self.fields.optional(name, float().gt(0.0).le(3600.0));
        self.put(name, number)
    }

    /// Yes or no.
    pub(super) fn flag(self, name: &'static str) -> Self {
        let flag = self.fields.optional(name, boolean());
        self.put(name, flag)
    }

    /// A side in pixels or a text such as `2x`.
    pub(super) fn side_or_text(self, name: &'static str) -> Self {
        let value = self.fields.optional(name, SideOrText);
        self.put(name, value.filter(|value| !value.is_null()))
    }

    /// Seeds, adapters, and what only some servers know.
    pub(super) fn sampling(self) -> Self {
        let seeds = self
            .fields
            .optional("seeds", list(int()))
            .filter(|seeds| !seeds.is_empty());
        let adapters = self.fields.optional("lora_adapters", list(object()));
        let adapters = adapters.filter(|adapters| !adapters.is_empty());
        self.any_int("seed")
            .put("seeds", seeds)
            .float("guidance_scale")
            .float("guidance_2")
            .put("lora_adapters", adapters)
            .extra()
    }

    /// What only some servers know.
    pub(super) fn extra(self) -> Self {
        let extra = self
            .fields
            .optional("extra", object())
            .filter(|extra| !extra.is_empty());
        self.put("extra", extra)
    }

    pub(super) fn done(self) -> Object {
        self.out
    }
}

/// A number of pieces under both of its names.
pub(super) struct Count {
    count: Option<i64>,
    n: Option<i64>,
}

impl Count {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            count: fields.optional("count", int().ge(1).le(64)),
            n: fields.optional("n", int().ge(1).le(64)),
        }
    }

    pub(super) const fn none() -> Self {
        Self { count: None, n: None }
    }

    /// # Errors
    /// 400 when the names disagree.
    pub(super) fn one(self) -> ApiResult<Option<i64>> {
        match (self.count, self.n) {
            (Some(count), Some(n)) if count != n => Err(ApiError::bad_request(
                "count and n must match when both are provided.",
            )),
            (count, n) => Ok(count.or(n)),
        }
    }
}

/// 400 for a blank prompt.
pub(super) fn prompt(given: &str) -> ApiResult<String> {
    match given.trim() {
        "" => Err(ApiError::bad_request("prompt is required")),
        prompt => Ok(prompt.to_owned()),
    }
}

struct SideOrText;

impl Kind for SideOrText {
    type Out = Value;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<Value> {
        match &value {
            Value::String(text) if text.chars().count() <= 32 => Some(value),
            Value::String(_) => string().max_len(32).read(value, at).map(Value::from),
            _ => int().ge(1).le(16_384).read(value, at).map(Value::from),
        }
    }
}
