//! What can go wrong below the ports. "Not found" is not an error: look-ups return `Option`.

/// A failed store call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or does not answer in time; the caller may try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The call was sent, its result is unknown (connection lost around a commit). Repeat the *same* call.
    #[error("the outcome of the store call is unknown: {0}")]
    Ambiguous(String),
    /// The caller's session is dead or expired: all its work must stop.
    #[error("session lost")]
    SessionLost,
    /// A stored value cannot be read.
    #[error("stored {what} is damaged: {detail}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it is unreadable.
        detail: String,
    },
    /// The statement was refused; a defect of ours.
    #[error("store statement failed: {0}")]
    Internal(String),
}
