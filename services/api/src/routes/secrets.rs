//! The seam for encryption at rest.

use secrecy::SecretString;

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

/// Encrypts secrets that lie in the database (architecture D15).
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
}
