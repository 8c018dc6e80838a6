//! The HTTP status family an error belongs to.

/// What kind of answer an error is. The texts live in the errors; handlers only copy both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorStatus {
    /// 400: the request names or contains something impossible.
    BadRequest,
    /// 403: an internal (catalogue) id was used directly.
    Forbidden,
    /// 404: nothing of that name is loaded.
    NotFound,
    /// 413: over a size limit.
    TooLarge,
    /// 500: the contract's answer to an upload that is no bundle at all.
    Internal,
}

impl ErrorStatus {
    /// The numeric HTTP status.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::Internal => 500,
        }
    }
}
