//! Order of results.

use std::cmp::Ordering;

use crate::ArtifactMeta;

/// What results are ordered by; ties by time, then by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderBy {
    #[default]
    CreatedAt,
    Size,
    LastAccessedAt,
    SemanticKind,
    RenderKind,
    Workflow,
    Run,
    Turn,
}

impl OrderBy {
    /// Unknown names mean the time of creation.
    pub fn parse(text: &str) -> Self {
        match text.trim().to_lowercase().as_str() {
            "size_bytes" | "size" => Self::Size,
            "last_accessed_at" | "last_access" => Self::LastAccessedAt,
            "semantic_kind" | "type" => Self::SemanticKind,
            "render_kind" => Self::RenderKind,
            "workflow" | "workflow_id" => Self::Workflow,
            "run" | "run_id" => Self::Run,
            "turn" | "turn_id" => Self::Turn,
            _ => Self::CreatedAt,
        }
    }

    /// The name that answers echo.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Size => "size_bytes",
            Self::LastAccessedAt => "last_accessed_at",
            Self::SemanticKind => "semantic_kind",
            Self::RenderKind => "render_kind",
            Self::Workflow => "workflow",
            Self::Run => "run",
            Self::Turn => "turn",
        }
    }

    fn compare(self, a: &ArtifactMeta, b: &ArtifactMeta) -> Ordering {
        fn text<'a>(
            meta: &'a ArtifactMeta,
            field: impl Fn(&'a ArtifactMeta) -> Option<&'a String>,
        ) -> &'a str {
            field(meta).map_or("", String::as_str)
        }
        let by = |field: fn(&ArtifactMeta) -> Option<&String>| text(a, field).cmp(text(b, field));
        match self {
            Self::CreatedAt => Ordering::Equal,
            Self::Size => a.size_bytes.cmp(&b.size_bytes),
            Self::LastAccessedAt => by(|meta| meta.access.last_accessed_at.as_ref()),
            Self::SemanticKind => a.descriptor.semantic_kind.cmp(&b.descriptor.semantic_kind),
            Self::RenderKind => a.descriptor.render_kind.cmp(&b.descriptor.render_kind),
            Self::Workflow => by(|meta| meta.descriptor.workflow_id.as_ref()),
            Self::Run => by(|meta| meta.run_id.as_ref()),
            Self::Turn => by(|meta| meta.descriptor.turn_id.as_ref()),
        }
    }
}

/// Ascending or descending, ties included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    #[default]
    Descending,
}

impl Direction {
    /// `asc`; anything else descends.
    pub fn parse(text: &str) -> Self {
        if text.trim().eq_ignore_ascii_case("asc") {
            Self::Ascending
        } else {
            Self::Descending
        }
    }

    /// The name that answers echo.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    pub(super) fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// Sorts by the order, then time, then id, all in the same direction.
pub(super) fn sort(metas: &mut [&ArtifactMeta], order_by: OrderBy, direction: Direction) {
    metas.sort_by(|a, b| direction.apply(order_by.compare(a, b).then_with(|| compare_keys(a, &key(b)))));
}

/// `(created_at, artifact_id)`.
pub(super) fn key(meta: &ArtifactMeta) -> (&str, &str) {
    (&meta.created_at, &meta.artifact_id)
}

pub(super) fn compare_keys(meta: &ArtifactMeta, other: &(&str, &str)) -> Ordering {
    key(meta).cmp(other)
}
