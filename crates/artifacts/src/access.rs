//! Access counters of an artifact.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The `access` object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    pub access_count: u64,
    pub metadata_access_count: u64,
    pub content_access_count: u64,
    pub preview_count: u64,
    pub download_count: u64,
    pub last_accessed_at: Option<String>,
    pub last_action: Option<String>,
    pub last_actor_id: Option<String>,
    pub last_session_id: Option<String>,
    pub last_run_id: Option<String>,
    /// Count per action name.
    pub actions: IndexMap<String, u64>,
}

/// What was done with the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessAction {
    Metadata,
    Content,
    Load,
    Read,
    Open,
    Preview,
    Download,
    /// Counted in the totals only.
    Export,
}

impl AccessAction {
    /// The name in `last_action` and `actions`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Content => "content",
            Self::Load => "load",
            Self::Read => "read",
            Self::Open => "open",
            Self::Preview => "preview",
            Self::Download => "download",
            Self::Export => "export",
        }
    }
}

/// The action that a content request declares; anything unknown is plain content.
pub fn content_action(parameter: Option<&str>) -> AccessAction {
    match parameter.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        Some("preview") => AccessAction::Preview,
        Some("download") => AccessAction::Download,
        Some("open") => AccessAction::Open,
        Some("read") => AccessAction::Read,
        _ => AccessAction::Content,
    }
}

/// Who accessed, and in which context.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessBy<'a> {
    /// `gateway` for every operation of the HTTP surface.
    pub actor_id: &'a str,
    pub session_id: Option<&'a str>,
    pub run_id: Option<&'a str>,
}

impl Access {
    /// Counts one access at `now` (an ISO timestamp). Unknown context leaves the last known one.
    pub fn record(&mut self, action: AccessAction, now: &str, by: AccessBy<'_>) {
        self.access_count += 1;
        match action {
            AccessAction::Metadata => self.metadata_access_count += 1,
            AccessAction::Content | AccessAction::Load | AccessAction::Read | AccessAction::Open => {
                self.content_access_count += 1;
            }
            AccessAction::Preview => self.preview_count += 1,
            AccessAction::Download => self.download_count += 1,
            AccessAction::Export => {}
        }
        *self.actions.entry(action.as_str().to_owned()).or_default() += 1;
        self.last_accessed_at = Some(now.to_owned());
        self.last_action = Some(action.as_str().to_owned());
        self.last_actor_id = Some(by.actor_id.to_owned());
        if let Some(session_id) = by.session_id {
            self.last_session_id = Some(session_id.to_owned());
        }
        if let Some(run_id) = by.run_id {
            self.last_run_id = Some(run_id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_per_action() {
        let mut access = Access::default();
        let by = AccessBy {
            actor_id: "gateway",
            session_id: Some("s"),
            run_id: Some("r"),
        };
        for action in [
            AccessAction::Metadata,
            AccessAction::Content,
            AccessAction::Open,
            AccessAction::Preview,
            AccessAction::Download,
            AccessAction::Export,
        ] {
            access.record(action, "2025-01-01T00:00:00+00:00", by);
        }
        access.record(
            AccessAction::Metadata,
            "t2",
            AccessBy {
                actor_id: "gateway",
                ..AccessBy::default()
            },
        );
        assert_eq!(
            serde_json::to_string(&access).expect("plain struct"),
            r#"{"access_count":7,"metadata_access_count":2,"content_access_count":2,"preview_count":1,"download_count":1,"last_accessed_at":"t2","last_action":"metadata","last_actor_id":"gateway","last_session_id":"s","last_run_id":"r","actions":{"metadata":2,"content":1,"open":1,"preview":1,"download":1,"export":1}}"#
        );
    }

    #[test]
    fn declared_actions() {
        assert_eq!(content_action(Some(" Preview ")), AccessAction::Preview);
        assert_eq!(content_action(Some("steal")), AccessAction::Content);
        assert_eq!(content_action(None), AccessAction::Content);
    }
}
