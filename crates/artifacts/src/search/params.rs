//! Query parameters, checked and in typed form.

use serde_json::{Map, Value};

use super::order::{Direction, OrderBy};
use crate::session_memory_run_id;

/// Items per page when the client does not say.
pub const DEFAULT_PAGE_SIZE: usize = 500;

/// Text of the warning about filters that the reference applied after its index.
const POST_FILTER: &str = "query_or_scope_requires_gateway_post_filter";

/// Kinds the index of the reference knew as single values of `artifact_kind`.
const MAPPED_KINDS: [&str; 17] = [
    "voice",
    "music",
    "sound",
    "image",
    "video",
    "text",
    "document",
    "code",
    "json",
    "markdown",
    "html",
    "transcript",
    "attachment",
    "evidence",
    "workflow_snapshot",
    "conversation_span",
    "memory_note",
];

/// Parameters as they came; blank texts count as absent.
#[derive(Debug, Clone, Default)]
pub struct RawSearch {
    pub scope: Option<String>,
    pub session_id: Option<String>,
    pub run_id: Option<String>,
    pub modality: Option<String>,
    pub artifact_kind: Option<String>,
    pub semantic_kind: Option<String>,
    pub render_kind: Option<String>,
    pub workflow_id: Option<String>,
    pub node_id: Option<String>,
    pub content_type: Option<String>,
    pub query: Option<String>,
    pub tags: Option<String>,
    pub created_after: Option<String>,
    pub created_before: Option<String>,
    /// -1 to 10000; not positive means the default.
    pub limit: Option<i64>,
    pub offset: Option<u64>,
    pub cursor: Option<String>,
    pub order_by: Option<String>,
    pub order: Option<String>,
    pub include_stats: bool,
    /// With a limit that is not positive: no limit. The caller has checked that it may be used.
    pub debug_unlimited: bool,
}

/// Why parameters are refused (400); the text is the `detail` of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    #[error("scope must be one of all|session|run")]
    Scope,
    #[error("session_id is required when scope=session")]
    SessionRequired,
    #[error("run_id is required when scope=run")]
    RunRequired,
    #[error("tags entries must use key=value or key:value")]
    TagEntry,
    #[error("Invalid tags JSON: {0}")]
    TagJson(String),
}

/// Which artifacts are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchScope {
    All,
    /// Those of the session-memory run and those tagged with the session.
    Session {
        session_id: String,
        memory_run_id: String,
    },
    Run {
        run_id: String,
    },
}

impl SearchScope {
    /// The scope of a session.
    pub fn session(session_id: &str) -> Self {
        Self::Session {
            session_id: session_id.to_owned(),
            memory_run_id: session_memory_run_id(session_id),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Session { .. } => "session",
            Self::Run { .. } => "run",
        }
    }
}

/// A search that can be run.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    pub scope: SearchScope,
    /// Lower-case alternatives; empty = any.
    pub modality: Vec<String>,
    pub artifact_kind: Vec<String>,
    pub semantic_kind: Vec<String>,
    pub render_kind: Vec<String>,
    pub workflow_id: Option<String>,
    pub node_id: Option<String>,
    /// Exact type, or `type/*`.
    pub content_type: Option<String>,
    /// Lower case.
    pub query: Option<String>,
    pub tags: Vec<(String, String)>,
    pub created_after: Option<String>,
    pub created_before: Option<String>,
    /// `None` = all.
    pub limit: Option<usize>,
    pub offset: usize,
    pub cursor: Option<(String, String)>,
    pub order_by: OrderBy,
    pub direction: Direction,
    pub include_stats: bool,
    /// Echo fields of the answer, null where absent.
    pub(super) echo: Map<String, Value>,
    /// `filters` of the statistics: what was given.
    pub(super) filters: Map<String, Value>,
}

impl SearchQuery {
    /// Checks the parameters.
    pub fn parse(raw: RawSearch) -> Result<Self, SearchError> {
        let scope_name = text(raw.scope).map_or_else(|| "all".to_owned(), |scope| scope.to_lowercase());
        let (session_id, run_id) = (text(raw.session_id), text(raw.run_id));
        let scope = match scope_name.as_str() {
            "all" => SearchScope::All,
            "session" => SearchScope::session(session_id.as_deref().ok_or(SearchError::SessionRequired)?),
            "run" => SearchScope::Run {
                run_id: run_id.clone().ok_or(SearchError::RunRequired)?,
            },
            _ => return Err(SearchError::Scope),
        };
        let lower = |parameter: Option<String>| text(parameter).map(|value| value.to_lowercase());
        let (modality, artifact_kind) = (lower(raw.modality), lower(raw.artifact_kind));
        let (semantic_kind, render_kind) = (lower(raw.semantic_kind), lower(raw.render_kind));
        let (workflow_id, node_id) = (text(raw.workflow_id), text(raw.node_id));
        let (content_type, query, tags) = (lower(raw.content_type), text(raw.query), text(raw.tags));
        let (created_after, created_before) = (text(raw.created_after), text(raw.created_before));
        let order_by = OrderBy::parse(raw.order_by.as_deref().unwrap_or_default());
        let direction = Direction::parse(raw.order.as_deref().unwrap_or_default());
        let parsed_tags = tags.as_deref().map(parse_tags).transpose()?.unwrap_or_default();
        let echo = object([
            ("scope", Some(scope.name().to_owned())),
            ("query", query.clone()),
            ("modality", modality.clone()),
            ("artifact_kind", artifact_kind.clone()),
            ("semantic_kind", semantic_kind.clone()),
            ("render_kind", render_kind.clone()),
            ("content_type", content_type.clone()),
            ("order_by", Some(order_by.as_str().to_owned())),
            ("order", Some(direction.as_str().to_owned())),
            ("tags", tags.clone()),
        ]);
        let mut filters = object([
            ("scope", Some(scope.name().to_owned())),
            ("session_id", session_id),
            ("run_id", run_id),
            ("modality", modality.clone()),
            ("semantic_kind", semantic_kind.clone()),
            ("render_kind", render_kind.clone()),
            ("artifact_kind", artifact_kind.clone()),
            ("workflow_id", workflow_id.clone()),
            ("node_id", node_id.clone()),
            ("content_type", content_type.clone()),
            ("created_after", created_after.clone()),
            ("created_before", created_before.clone()),
            ("tags", tags),
            ("query", query.clone()),
        ]);
        filters.retain(|_, value| !value.is_null());
        let unlimited = raw.debug_unlimited && raw.limit.is_some_and(|limit| limit <= 0);
        let limit = (!unlimited).then(|| page_size(raw.limit));
        Ok(Self {
            scope,
            modality: list(modality),
            artifact_kind: list(artifact_kind),
            semantic_kind: list(semantic_kind),
            render_kind: list(render_kind),
            workflow_id,
            node_id,
            content_type,
            query: query.map(|query| query.to_lowercase()),
            tags: parsed_tags,
            created_after,
            created_before,
            limit,
            offset: raw
                .offset
                .and_then(|offset| usize::try_from(offset).ok())
                .unwrap_or(0),
            cursor: text(raw.cursor).map(parse_cursor),
            order_by,
            direction,
            include_stats: raw.include_stats,
            echo,
            filters,
        })
    }

    /// The listing of one run or session: newest first, no filters.
    pub fn listing(scope: SearchScope, limit: Option<i64>, offset: Option<u64>) -> Self {
        let (session_id, run_id) = match &scope {
            SearchScope::All => (None, None),
            SearchScope::Session { session_id, .. } => (Some(session_id.clone()), None),
            SearchScope::Run { run_id } => (None, Some(run_id.clone())),
        };
        let mut filters = object([
            ("scope", Some(scope.name().to_owned())),
            ("session_id", session_id),
            ("run_id", run_id),
        ]);
        filters.retain(|_, value| !value.is_null());
        Self {
            scope,
            modality: vec![],
            artifact_kind: vec![],
            semantic_kind: vec![],
            render_kind: vec![],
            workflow_id: None,
            node_id: None,
            content_type: None,
            query: None,
            tags: vec![],
            created_after: None,
            created_before: None,
            limit: Some(page_size(limit)),
            offset: offset
                .and_then(|offset| usize::try_from(offset).ok())
                .unwrap_or(0),
            cursor: None,
            order_by: OrderBy::default(),
            direction: Direction::default(),
            include_stats: false,
            echo: Map::new(),
            filters,
        }
    }

    /// Warnings of the answer: filters that an index alone cannot decide.
    pub fn warnings(&self) -> Vec<&'static str> {
        let lists = [
            &self.modality,
            &self.artifact_kind,
            &self.semantic_kind,
            &self.render_kind,
        ];
        let unmapped = self
            .artifact_kind
            .iter()
            .any(|kind| !MAPPED_KINDS.contains(&kind.as_str()));
        let post_filter = self.query.is_some()
            || matches!(self.scope, SearchScope::Session { .. })
            || self
                .content_type
                .as_deref()
                .is_some_and(|mime| mime.ends_with("/*"))
            || lists.iter().any(|list| list.len() > 1)
            || unmapped;
        if post_filter { vec![POST_FILTER] } else { vec![] }
    }

    /// Where the reference would have counted; kept because clients show it.
    pub(super) fn source(&self) -> &'static str {
        if !self.warnings().is_empty() {
            "gateway_post_filter"
        } else if !self.tags.is_empty() {
            "artifact_store_scan"
        } else {
            "artifact_catalog"
        }
    }
}

fn page_size(limit: Option<i64>) -> usize {
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(DEFAULT_PAGE_SIZE)
}

fn text(parameter: Option<String>) -> Option<String> {
    parameter
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

fn list(parameter: Option<String>) -> Vec<String> {
    let Some(parameter) = parameter else { return vec![] };
    parameter
        .split([',', '|'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn object<const N: usize>(pairs: [(&str, Option<String>); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// `<created_at>|<artifact_id>`.
fn parse_cursor(cursor: String) -> (String, String) {
    match cursor.rsplit_once('|') {
        Some((created_at, id)) => (created_at.to_owned(), id.to_owned()),
        None => (cursor, String::new()),
    }
}

/// A JSON object, or `k=v` and `k:v` entries separated by commas or newlines.
fn parse_tags(text: &str) -> Result<Vec<(String, String)>, SearchError> {
    if text.starts_with('{') {
        let parsed: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| SearchError::TagJson(error.to_string()))?;
        let pairs = parsed.into_iter().map(|(name, value)| match value {
            Value::String(value) => (name, value),
            other => (name, other.to_string()),
        });
        return Ok(pairs.collect());
    }
    let entries = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (name, value) = entry
                .split_once('=')
                .or_else(|| entry.split_once(':'))
                .ok_or(SearchError::TagEntry)?;
            let name = name.trim();
            if name.is_empty() {
                return Err(SearchError::TagEntry);
            }
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(change: impl FnOnce(&mut RawSearch)) -> Result<SearchQuery, SearchError> {
        let mut raw = RawSearch::default();
        change(&mut raw);
        SearchQuery::parse(raw)
    }

    #[test]
    fn refusals() {
        assert_eq!(
            parse(|raw| raw.scope = Some("x".into())).unwrap_err().to_string(),
            "scope must be one of all|session|run"
        );
        assert_eq!(
            parse(|raw| raw.scope = Some("session".into()))
                .unwrap_err()
                .to_string(),
            "session_id is required when scope=session"
        );
        assert_eq!(
            parse(|raw| raw.scope = Some("run".into())).unwrap_err(),
            SearchError::RunRequired
        );
        assert_eq!(
            parse(|raw| raw.tags = Some("novalue".into())).unwrap_err(),
            SearchError::TagEntry
        );
        assert!(
            parse(|raw| raw.tags = Some("{bad".into()))
                .unwrap_err()
                .to_string()
                .starts_with("Invalid tags JSON: ")
        );
    }

    #[test]
    fn lists_limits_and_tags() {
        let query = parse(|raw| {
            raw.modality = Some("Voice|music, ".into());
            raw.tags = Some("a=b:c, d:e\nf= ".into());
            raw.limit = Some(-1);
            raw.cursor = Some("2025|x|id".into());
        })
        .expect("valid");
        assert_eq!(query.modality, ["voice", "music"]);
        let tags: Vec<String> = query
            .tags
            .iter()
            .map(|(name, value)| format!("{name}~{value}"))
            .collect();
        assert_eq!(tags, ["a~b:c", "d~e", "f~"]);
        assert_eq!(query.limit, Some(500));
        assert_eq!(query.cursor, Some(("2025|x".into(), "id".into())));
        let unlimited = parse(|raw| {
            raw.limit = Some(0);
            raw.debug_unlimited = true;
        });
        assert_eq!(unlimited.expect("valid").limit, None);
        let json = parse(|raw| raw.tags = Some(r#"{"n": 1, "s": "t"}"#.into())).expect("valid");
        assert_eq!(
            json.tags,
            [("n".to_owned(), "1".to_owned()), ("s".to_owned(), "t".to_owned())]
        );
    }

    #[test]
    fn warnings_and_sources() {
        type Change = fn(&mut RawSearch);
        let cases: [(Change, &str); 9] = [
            (|_| {}, "artifact_catalog"),
            (|raw| raw.tags = Some("a=b".into()), "artifact_store_scan"),
            (|raw| raw.query = Some("x".into()), "gateway_post_filter"),
            (
                |raw| raw.content_type = Some("image/*".into()),
                "gateway_post_filter",
            ),
            (
                |raw| raw.content_type = Some("image/png".into()),
                "artifact_catalog",
            ),
            (
                |raw| raw.semantic_kind = Some("image,voice".into()),
                "gateway_post_filter",
            ),
            (|raw| raw.artifact_kind = Some("voice".into()), "artifact_catalog"),
            (
                |raw| raw.artifact_kind = Some("other".into()),
                "gateway_post_filter",
            ),
            (
                |raw| {
                    raw.scope = Some("session".into());
                    raw.session_id = Some("s".into());
                },
                "gateway_post_filter",
            ),
        ];
        for (change, source) in cases {
            assert_eq!(parse(change).expect("valid").source(), source);
        }
    }
}
