//! Which runs may be purged, and when.

use ag_engine::lifecycle;
use ag_store::RunRow;
use ag_types::{Object, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::routes::runs::vars::Reserved;

/// Why a run is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// There is none.
    Missing,
    /// Not made by a test of a draft, or to be kept.
    NotEphemeralDraft,
    /// Not ended.
    ActiveRun,
    /// Kept for ever.
    NoEffectiveExpiration,
    /// Kept for a while.
    NotExpired,
    /// A descendant has not ended.
    ActiveRunTree,
}

/// A run with the judgement about it.
pub(super) struct Candidate {
    pub(super) lifecycle: Option<Object>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refused: Option<Reason>,
}

/// Judges a run; `force` ignores its expiry.
pub(super) fn judge(
    row: &RunRow,
    default_ttl_s: u64,
    now: Timestamp,
    force: bool,
    include_active: bool,
) -> Candidate {
    let lifecycle = Reserved::read(&row.columns.vars).lifecycle();
    let ephemeral = row.head.parent_run_id.is_none() && lifecycle.as_ref().is_some_and(is_ephemeral);
    let retention = lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.get("retention"));
    let expires_at = expires_at(retention, row.columns.updated_at, default_ttl_s);
    let refused = if !ephemeral {
        Some(Reason::NotEphemeralDraft)
    } else if !row.columns.status.is_terminal() && !include_active {
        Some(Reason::ActiveRun)
    } else if force {
        None
    } else {
        match expires_at {
            None => Some(Reason::NoEffectiveExpiration),
            Some(at) if at > now => Some(Reason::NotExpired),
            Some(_) => None,
        }
    };
    Candidate {
        lifecycle,
        expires_at,
        refused,
    }
}

/// The same test on the stored text of a list row.
pub(super) fn is_ephemeral_draft(lifecycle: &str) -> bool {
    serde_json::from_str::<Value>(lifecycle).is_ok_and(|value| value.as_object().is_some_and(is_ephemeral))
}

fn is_ephemeral(object: &Object) -> bool {
    let mode = object
        .get("retention")
        .and_then(|retention| retention.get("mode"))
        .and_then(Value::as_str);
    lifecycle::is_draft(object) && mode == Some("ephemeral")
}

/// The named time, else the last change plus the named or the usual time to live; 0 = never.
fn expires_at(retention: Option<&Value>, changed: Timestamp, default_ttl_s: u64) -> Option<Timestamp> {
    let named = retention.and_then(|retention| retention.get("expires_at")?.as_str());
    if let Some(at) = named.and_then(|text| Timestamp::parse(text).ok()) {
        return Some(at);
    }
    let ttl_s = retention
        .and_then(|retention| retention.get("ttl_s")?.as_i64())
        .filter(|ttl| *ttl > 0);
    let ttl_s = ttl_s.or_else(|| i64::try_from(default_ttl_s).ok().filter(|ttl| *ttl > 0))?;
    Some(changed.plus_micros(ttl_s.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expiry() {
        let changed = Timestamp::from_micros(1_000_000);
        let at = |retention: Value, ttl| expires_at(Some(&retention), changed, ttl).map(Timestamp::as_micros);
        assert_eq!(
            at(json!({"expires_at": "1970-01-01T00:00:09Z", "ttl_s": 1}), 5),
            Some(9_000_000)
        );
        assert_eq!(at(json!({"expires_at": "soon", "ttl_s": 2}), 5), Some(3_000_000));
        assert_eq!(at(json!({}), 5), Some(6_000_000));
        assert_eq!(at(json!({}), 0), None);
    }

    #[test]
    fn only_ephemeral_drafts() {
        assert!(is_ephemeral_draft(
            r#"{"purpose":"draft_test","retention":{"mode":"ephemeral"}}"#
        ));
        assert!(!is_ephemeral_draft(
            r#"{"purpose":"draft_test","retention":{"mode":"durable"}}"#
        ));
        assert!(!is_ephemeral_draft("7"));
    }
}
