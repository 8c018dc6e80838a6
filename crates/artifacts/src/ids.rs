//! Names of artifacts and of the runs that own session files.

use sha2::{Digest, Sha256};

/// First 32 hex digits of SHA-256 over the run id, a zero byte and the content; over the content
/// alone without a run. The same bytes in two runs are two artifacts and one blob.
pub fn artifact_id(run_id: Option<&str>, content: &[u8]) -> String {
    let mut hash = ArtifactIdHash::new(run_id);
    hash.update(content);
    hash.finish()
}

/// [`artifact_id`] of content that comes in pieces.
#[derive(Debug, Clone)]
pub struct ArtifactIdHash(Sha256);

impl ArtifactIdHash {
    /// Of the content of a run.
    pub fn new(run_id: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        if let Some(run_id) = run_id.filter(|run_id| !run_id.is_empty()) {
            hash.update(run_id.as_bytes());
            hash.update([0]);
        }
        Self(hash)
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The id of all pieces.
    pub fn finish(self) -> String {
        let mut id = hex::encode(self.0.finalize());
        id.truncate(32);
        id
    }
}

/// Whether `id` has the accepted syntax `[A-Za-z0-9_-]+`.
pub fn is_artifact_id(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The run that owns a session's attachments and imports.
pub fn session_memory_run_id(session_id: &str) -> String {
    if is_artifact_id(session_id) {
        return format!("session_memory_{session_id}");
    }
    let digest = hex::encode(Sha256::digest(session_id.as_bytes()));
    format!("session_memory_sha_{}", &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_run_and_content() {
        // sha256("abc") and sha256("r1" 00 "abc"), computed independently.
        assert_eq!(artifact_id(None, b"abc"), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(artifact_id(Some(""), b"abc"), artifact_id(None, b"abc"));
        assert_eq!(artifact_id(Some("r1"), b"abc"), RUN_ID_DIGEST);
        let mut pieces = ArtifactIdHash::new(Some("r1"));
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!(pieces.finish(), RUN_ID_DIGEST);
    }

    const RUN_ID_DIGEST: &str = "2609b9d76737101a4fca0065f43e2d3c";

    #[test]
    fn session_runs() {
        assert_eq!(session_memory_run_id("a-B_1"), "session_memory_a-B_1");
        assert_eq!(
            session_memory_run_id("a b"),
            "session_memory_sha_c8687a08aa5d6ed2044328fa6a697ab8"
        );
        assert!(!is_artifact_id("") && !is_artifact_id("../x") && is_artifact_id("Aa0_-"));
    }
}
