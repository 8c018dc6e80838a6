//! Whether one artifact matches a search.

use serde_json::{Map, Value};

use super::params::{SearchQuery, SearchScope};
use crate::{ArtifactMeta, content_type::bare, title};

/// Sound that nobody classified further.
const GENERIC_AUDIO: [&str; 2] = ["audio", "unclassified_audio"];

impl SearchScope {
    /// Whether the artifact belongs to the scope.
    pub fn contains(&self, meta: &ArtifactMeta) -> bool {
        match self {
            Self::All => true,
            Self::Run { run_id } => meta.run_id.as_ref() == Some(run_id),
            Self::Session {
                session_id,
                memory_run_id,
            } => {
                meta.run_id.as_ref() == Some(memory_run_id) || meta.tags.get("session_id") == Some(session_id)
            }
        }
    }
}

impl SearchQuery {
    /// Whether the artifact passes every filter; cursor and offset are not filters.
    pub fn matches(&self, meta: &ArtifactMeta) -> bool {
        let descriptor = &meta.descriptor;
        let one_of = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let exactly = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        self.scope.contains(meta)
            && one_of(&self.modality, &descriptor.modality)
            && one_of(&self.semantic_kind, &descriptor.semantic_kind)
            && one_of(&self.render_kind, &descriptor.render_kind)
            && exactly(&self.workflow_id, descriptor.workflow_id.as_deref())
            && exactly(&self.node_id, descriptor.node_id.as_deref())
            && self.created_after.as_ref().is_none_or(|after| meta.created_at >= *after)
            && self.created_before.as_ref().is_none_or(|before| meta.created_at <= *before)
            && self.content_type.as_deref().is_none_or(|wanted| mime_matches(wanted, &meta.content_type))
            && self.tags.iter().all(|(name, value)| meta.tags.get(name) == Some(value))
            && (self.artifact_kind.is_empty() || self.artifact_kind.iter().any(|kind| is_kind(kind, meta)))
            // Last: it looks at everything.
            && self.query.as_deref().is_none_or(|query| mentions(meta, query))
    }
}

fn mime_matches(wanted: &str, content_type: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('/') => bare(content_type).starts_with(prefix),
        _ => content_type.eq_ignore_ascii_case(wanted) || bare(content_type) == wanted,
    }
}

fn is_kind(kind: &str, meta: &ArtifactMeta) -> bool {
    let descriptor = &meta.descriptor;
    let semantic = descriptor.semantic_kind.to_lowercase();
    if GENERIC_AUDIO.contains(&kind) {
        let modality = descriptor.modality.to_lowercase();
        let is_generic = |value: &str| value.is_empty() || GENERIC_AUDIO.contains(&value);
        return descriptor.render_kind.eq_ignore_ascii_case("audio")
            && is_generic(&semantic)
            && is_generic(&modality);
    }
    if kind == "other" {
        return matches!(
            semantic.as_str(),
            "" | "other" | "unclassified" | "binary" | "file"
        );
    }
    semantic == kind
        || descriptor.render_kind.eq_ignore_ascii_case(kind)
        || descriptor.modality.eq_ignore_ascii_case(kind)
}

/// Case-insensitive substring of any descriptive text; `query` is lower case. File contents are not
/// looked at.
fn mentions(meta: &ArtifactMeta, query: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(query);
    let descriptor = &meta.descriptor;
    let optional = [
        meta.run_id.as_deref(),
        meta.filename(),
        meta.source_path(),
        meta.tag("sha256"),
        descriptor.workflow_id.as_deref(),
        descriptor.node_id.as_deref(),
        descriptor.turn_id.as_deref(),
    ];
    [
        &meta.artifact_id,
        &meta.content_type,
        &descriptor.semantic_kind,
        &descriptor.render_kind,
        &descriptor.modality,
        &descriptor.task,
    ]
    .iter()
    .any(|text| has(text))
        || optional.into_iter().flatten().any(has)
        || descriptor
            .ledger_cursor
            .as_ref()
            .is_some_and(|cursor| scalar_has(cursor, query))
        || has(&title(meta))
        || meta.tags.iter().any(|(name, value)| has(name) || has(value))
        || [
            &descriptor.generation,
            &descriptor.producer,
            &descriptor.provenance,
            &descriptor.media,
        ]
        .iter()
        .any(|section| section_has(section, query))
}

fn section_has(section: &Map<String, Value>, query: &str) -> bool {
    section.values().any(|value| scalar_has(value, query))
}

fn scalar_has(value: &Value, query: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(query),
        Value::Number(number) => number.to_string().contains(query),
        Value::Bool(flag) => flag.to_string().contains(query),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewArtifact, search::RawSearch};

    fn meta(run: &str, mime: &str, tags: &[(&str, &str)]) -> ArtifactMeta {
        let new = NewArtifact {
            run_id: Some(run.to_owned()),
            content_type: mime.to_owned(),
            tags: tags
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..NewArtifact::default()
        };
        ArtifactMeta::new(new, b"x", "2025-01-02")
    }

    #[track_caller]
    fn check(expected: bool, meta: &ArtifactMeta, change: impl FnOnce(&mut RawSearch)) {
        let mut raw = RawSearch::default();
        change(&mut raw);
        let query = SearchQuery::parse(raw).expect("valid");
        assert_eq!(query.matches(meta), expected, "{query:?}");
    }

    #[test]
    fn filters() {
        let voice = meta(
            "r",
            "audio/wav",
            &[
                ("modality", "voice"),
                ("session_id", "s"),
                ("filename", "Hello.wav"),
                ("workflow_id", "w"),
            ],
        );
        let plain = meta("session_memory_s", "audio/wav", &[]);
        let blob = meta("r", "", &[]);
        check(true, &voice, |_| {});
        check(true, &voice, |raw| raw.modality = Some("music|VOICE".into()));
        check(false, &voice, |raw| raw.modality = Some("music".into()));
        check(true, &voice, |raw| raw.render_kind = Some("audio".into()));
        check(true, &voice, |raw| raw.artifact_kind = Some("voice".into()));
        check(false, &voice, |raw| raw.artifact_kind = Some("audio".into()));
        check(true, &plain, |raw| {
            raw.artifact_kind = Some("unclassified_audio".into());
        });
        check(true, &blob, |raw| raw.artifact_kind = Some("other".into()));
        check(false, &voice, |raw| raw.artifact_kind = Some("other".into()));
        check(true, &voice, |raw| raw.content_type = Some("audio/*".into()));
        check(false, &voice, |raw| raw.content_type = Some("audio".into()));
        check(true, &voice, |raw| raw.workflow_id = Some("w".into()));
        check(false, &voice, |raw| raw.node_id = Some("n".into()));
        check(true, &voice, |raw| raw.created_after = Some("2025-01-02".into()));
        check(false, &voice, |raw| {
            raw.created_before = Some("2025-01-01".into());
        });
        check(true, &voice, |raw| {
            raw.tags = Some("modality=voice,session_id=s".into());
        });
        check(false, &voice, |raw| raw.tags = Some("modality=music".into()));
        check(true, &voice, |raw| raw.query = Some("HELLO".into()));
        check(true, &voice, |raw| raw.query = Some("session_id".into()));
        check(false, &voice, |raw| raw.query = Some("absent".into()));
        for (artifact, expected) in [(&voice, true), (&plain, true), (&blob, false)] {
            check(expected, artifact, |raw| {
                raw.scope = Some("session".into());
                raw.session_id = Some("s".into());
            });
        }
        check(false, &plain, |raw| {
            raw.scope = Some("run".into());
            raw.run_id = Some("r".into());
        });
    }
}
