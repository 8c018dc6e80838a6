//! Which runs may see an artifact.

use crate::{ArtifactMeta, session_memory_run_id};

/// Whether a run sees an artifact of its plane: its own, its session's, or nobody's.
pub fn is_visible_to_run(meta: &ArtifactMeta, run_id: &str, run_session_id: Option<&str>) -> bool {
    let Some(owner) = meta.run_id.as_deref().filter(|owner| !owner.is_empty()) else {
        return true;
    };
    if owner == run_id {
        return true;
    }
    run_session_id
        .filter(|session| !session.is_empty())
        .is_some_and(|session| {
            owner == session_memory_run_id(session)
                || meta.tags.get("session_id").is_some_and(|tag| tag == session)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewArtifact;

    #[test]
    fn rules() {
        let meta = |run: Option<&str>, session_tag: Option<&str>| {
            let new = NewArtifact {
                run_id: run.map(str::to_owned),
                tags: session_tag
                    .map(|tag| ("session_id".to_owned(), tag.to_owned()))
                    .into_iter()
                    .collect(),
                ..NewArtifact::default()
            };
            ArtifactMeta::new(new, b"", "t")
        };
        let cases = [
            (meta(None, None), None, true),
            (meta(Some("r"), None), None, true),
            (meta(Some("other"), None), Some("s"), false),
            (meta(Some("session_memory_s"), None), Some("s"), true),
            (meta(Some("session_memory_s"), None), None, false),
            (meta(Some("other"), Some("s")), Some("s"), true),
            (meta(Some("other"), Some("")), Some(""), false),
        ];
        for (meta, session, expected) in cases {
            assert_eq!(
                is_visible_to_run(&meta, "r", session),
                expected,
                "{meta:?} {session:?}"
            );
        }
    }
}
