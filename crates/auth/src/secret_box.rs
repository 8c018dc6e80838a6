//! Encryption of secrets that lie in the database (architecture D15).

mod key_file;
mod key_ring;

use secrecy::SecretString;

pub use key_file::KeyFile;
pub use key_ring::{KeyRing, KeyRingError};

/// A secret that could not be sealed or opened; says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretBoxError {
    /// The key that sealed it is not there.
    #[error("the key of a stored secret is not available")]
    KeyMissing,
    /// Damaged, or sealed for something else.
    #[error("a stored secret cannot be opened")]
    Damaged,
}

/// Encrypts secrets that lie in the database.
///
/// `context` says what a secret belongs to and is authenticated with it, so that a sealed text moved to another row
/// does not open.
pub trait SecretBox: Send + Sync {
    /// Encrypts; the text is what is stored.
    ///
    /// # Errors
    /// [`SecretBoxError::KeyMissing`].
    fn seal(&self, secret: &SecretString, context: &str) -> Result<String, SecretBoxError>;

    /// Decrypts what [`Self::seal`] made for the same context.
    ///
    /// # Errors
    /// [`SecretBoxError`].
    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretBoxError>;

    /// Whether a sealed text carries the name of the key that seals now. Says nothing about whether it opens.
    fn is_current(&self, sealed: &str) -> bool;
}

/// What the key of a provider connection is bound to: its row, by the names of the plane, which outlive a move to
/// another database.
#[must_use]
pub fn endpoint_profile_context(tenant_id: &str, runtime_id: &str, profile_id: &str) -> String {
    // Lengths first, so that no two rows share a text.
    format!(
        "endpoint_profile/{}:{tenant_id}/{}:{runtime_id}/{profile_id}",
        tenant_id.len(),
        runtime_id.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_distinct() {
        let contexts = [
            endpoint_profile_context("a", "b", "c"),
            endpoint_profile_context("a/1:b", "b", "c"),
            endpoint_profile_context("a", "b/c", "c"),
            endpoint_profile_context("", "b", "c"),
        ];
        let distinct: std::collections::HashSet<_> = contexts.iter().collect();
        assert_eq!(distinct.len(), contexts.len());
        assert_eq!(contexts[0], "endpoint_profile/1:a/1:b/c");
    }
}
