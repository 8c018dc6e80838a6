//! Which spans a query finds.

use ag_store::StoreError;
use ag_types::{Object, Timestamp};
use serde_json::Value;

use super::{Reach, connect_by};
use crate::{
    handler::EffectCtx,
    memory::{
        context,
        owners::{text, texts},
        spans::{self, Span},
    },
};

/// Conditions of a query.
pub(super) struct Filter {
    /// Lower case.
    query: String,
    since: Option<Bound>,
    until: Option<Bound>,
    /// Key and values, any of which will do.
    tags: Vec<(String, Vec<String>)>,
    any_tag: bool,
    authors: Vec<String>,
    locations: Vec<String>,
    connect_by: Vec<String>,
}

/// A moment, or a text that is none and is compared as it is.
#[derive(Debug)]
enum Bound {
    Moment(Timestamp),
    Text(String),
}

impl Bound {
    fn of(text: String) -> Self {
        match moment(&text) {
            Some(moment) => Self::Moment(moment),
            None => Self::Text(text),
        }
    }

    fn compare(&self, stored: &str) -> std::cmp::Ordering {
        match (self, moment(stored)) {
            (Self::Moment(bound), Some(stored)) => stored.cmp(bound),
            (Self::Moment(bound), None) => stored.cmp(bound.to_string().as_str()),
            (Self::Text(bound), _) => stored.cmp(bound.as_str()),
        }
    }
}

/// ISO 8601; a date alone is its midnight, a time without zone is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let candidates = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    candidates.iter().find_map(|text| Timestamp::parse(text).ok())
}

impl Filter {
    pub(super) fn of(payload: &Object, query: &str) -> Self {
        let lower = |texts: Vec<String>| -> Vec<String> {
            texts.into_iter().map(|text| text.to_lowercase()).collect()
        };
        let people = ["authors", "usernames"]
            .iter()
            .flat_map(|key| texts(payload.get(*key)))
            .collect();
        let tags = payload.get("tags").and_then(Value::as_object);
        Self {
            query: query.to_lowercase(),
            since: text(payload, "since").map(Bound::of),
            until: text(payload, "until").map(Bound::of),
            tags: tags
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), lower(texts(Some(value)))))
                .filter(|(_, values)| !values.is_empty())
                .collect(),
            any_tag: text(payload, "tags_mode")
                .is_some_and(|mode| matches!(&*mode.to_lowercase(), "any" | "or")),
            authors: lower(people),
            locations: lower(texts(payload.get("locations"))),
            connect_by: connect_by(payload),
        }
    }

    /// Everything but the query.
    fn admits(&self, span: &Span) -> bool {
        let from = span.field("from_timestamp");
        let to = span.field("to_timestamp");
        let begin = if from.is_empty() {
            span.field("created_at")
        } else {
            from
        };
        let end = if to.is_empty() {
            span.field("created_at")
        } else {
            to
        };
        // A span overlaps the asked-for time.
        let in_time = self.since.as_ref().is_none_or(|since| since.compare(end).is_ge())
            && self
                .until
                .as_ref()
                .is_none_or(|until| until.compare(begin).is_le());
        let one_of = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.contains(&value.trim().to_lowercase())
        };
        span.kind() != "evidence"
            && in_time
            && self.has_tags(span)
            && one_of(&self.authors, span.field("created_by"))
            && one_of(&self.locations, location(span))
    }

    fn has_tags(&self, span: &Span) -> bool {
        if self.tags.is_empty() {
            return true;
        }
        let has = |(key, values): &(String, Vec<String>)| {
            let value = span.tags().and_then(|tags| tags.get(key)).and_then(Value::as_str);
            value.is_some_and(|value| values.contains(&value.to_lowercase()))
        };
        match self.any_tag {
            true => self.tags.iter().any(has),
            false => self.tags.iter().all(has),
        }
    }

    /// What of a span is searched without its archive.
    async fn is_in_words(&self, ctx: &EffectCtx<'_>, span: &Span) -> Result<bool, StoreError> {
        if self.query.is_empty() {
            return Ok(true);
        }
        let mut words: Vec<&str> = [
            "kind",
            "artifact_id",
            "created_at",
            "from_timestamp",
            "to_timestamp",
            "compression_mode",
            "focus",
            "created_by",
            "location",
            "note_preview",
        ]
        .iter()
        .map(|key| span.field(key))
        .collect();
        // The keys of the artifact's tags are words too.
        words.extend(["kind", "application/json"]);
        if span.kind() == "conversation_span" {
            words.extend(["compression_mode", "preserve_recent"]);
            words.extend(
                span.record
                    .get("focus")
                    .filter(|focus| focus.is_string())
                    .map(|_| "focus"),
            );
        }
        for (key, value) in span.tags().into_iter().flatten() {
            words.extend([key.as_str(), value.as_str().unwrap_or_default()]);
        }
        words.extend(span.text.as_deref());
        if words.join(" ").to_lowercase().contains(&self.query) {
            return Ok(true);
        }
        if span.kind() != "memory_note" || span.text.is_some() {
            return Ok(false);
        }
        // A note too long for its row.
        let content = spans::content(ctx, &span.id).await?;
        Ok(content.is_some_and(|content| {
            content
                .note()
                .is_some_and(|note| note.to_lowercase().contains(&self.query))
        }))
    }

    /// Whether an archived message says it.
    async fn is_in_archive(&self, ctx: &EffectCtx<'_>, span: &Span, most: usize) -> Result<bool, StoreError> {
        let Some(content) = spans::content(ctx, &span.id).await? else {
            return Ok(false);
        };
        let says = |message: &Value| context::content(message).to_lowercase().contains(&self.query);
        Ok(content
            .messages()
            .is_some_and(|messages| messages.iter().take(most).any(says)))
    }
}

fn location(span: &Span) -> &str {
    match span.field("location") {
        "" => {
            let tag = span.tags().and_then(|tags| tags.get("location"));
            tag.and_then(Value::as_str).unwrap_or_default()
        }
        location => location,
    }
}

/// The spans that a query finds among those of one owner (newest first): by their words, at most the limit; then by
/// their archives, beyond it; then their neighbours.
///
/// # Errors
/// The store is away.
pub(super) async fn select(
    ctx: &EffectCtx<'_>,
    known: &[Span],
    filter: &Filter,
    reach: &Reach,
) -> Result<Vec<Span>, StoreError> {
    let mut places: Vec<usize> = Vec::new();
    for (place, span) in known.iter().enumerate() {
        if places.len() >= reach.spans {
            break;
        }
        if filter.admits(span) && filter.is_in_words(ctx, span).await? {
            places.push(place);
        }
    }
    if reach.deep && !filter.query.is_empty() {
        let candidates = known
            .iter()
            .enumerate()
            .filter(|(_, span)| span.kind() == "conversation_span" && filter.admits(span));
        for (place, span) in candidates.take(reach.deep_spans) {
            if !places.contains(&place) && filter.is_in_archive(ctx, span, reach.deep_messages).await? {
                places.push(place);
            }
        }
    }
    if reach.connected {
        expand(known, &mut places, filter, reach.hops);
    }
    Ok(places.into_iter().map(|place| known[place].clone()).collect())
}

/// Adds what was made just before and after, and what shares a connecting tag.
fn expand(known: &[Span], places: &mut Vec<usize>, filter: &Filter, hops: usize) {
    let usable = |place: &usize| known[*place].kind() != "evidence";
    for seed in places.clone() {
        for hop in 1..=hops {
            // Newest first: the later place was made before.
            let older = Some(seed + hop).filter(|place| *place < known.len());
            for place in [older, seed.checked_sub(hop)]
                .into_iter()
                .flatten()
                .filter(|place| usable(place))
            {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        for key in &filter.connect_by {
            let tag = |span: &'_ Span| span.tags().and_then(|tags| tags.get(key)).cloned();
            let Some(value) = tag(&known[seed]) else { continue };
            let alike = (0..known.len()).filter(|place| tag(&known[*place]).as_ref() == Some(&value));
            for place in alike.filter(usable).collect::<Vec<_>>() {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
    }
}
