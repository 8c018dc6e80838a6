//! Translation of driver errors.

use ag_store::StoreError;

/// Raised by the claim function.
const SESSION_LOST: &str = "AG001";

/// What a failure says about the transaction it hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server refused: nothing was written.
    RolledBack,
    /// The server gave way to another transaction: nothing was written, and the same may succeed at once.
    Conflict,
    /// The connection was lost: unknown.
    Unknown,
    /// Nothing was sent.
    NotSent,
}

/// What became of a transaction whose statement failed so.
pub(crate) fn fate(error: &sqlx::Error) -> Fate {
    match error {
        sqlx::Error::Database(inner) => match inner.code().as_deref() {
            // Connection exceptions, and a server that ends us: the commit may have passed before.
            Some(code) if code.starts_with("08") || matches!(code, "57P01" | "57P02") => Fate::Unknown,
            // Serialization failure, deadlock.
            Some("40001" | "40P01") => Fate::Conflict,
            _ => Fate::RolledBack,
        },
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Configuration(_) => Fate::NotSent,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            Fate::Unknown
        }
        _ => Fate::RolledBack,
    }
}

/// A failed read: nothing can have been written.
pub(crate) fn read_error(error: sqlx::Error) -> StoreError {
    match (fate(&error), error) {
        (Fate::RolledBack | Fate::Conflict, error) => refused(error),
        (Fate::Unknown | Fate::NotSent, error) => StoreError::Unavailable(error.to_string()),
    }
}

/// A failed write of one statement or transaction.
pub(crate) fn write_error(error: sqlx::Error) -> StoreError {
    match fate(&error) {
        Fate::RolledBack | Fate::Conflict => refused(error),
        Fate::Unknown => StoreError::Ambiguous(error.to_string()),
        Fate::NotSent => StoreError::Unavailable(error.to_string()),
    }
}

fn refused(error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    match error {
        sqlx::Error::Database(inner) => match inner.code().as_deref() {
            Some(SESSION_LOST) => StoreError::SessionLost,
            Some("XX001" | "XX002") => StoreError::Corrupt {
                what: "database",
                detail: text,
            },
            Some(code) if is_passing(code) => StoreError::Unavailable(text),
            _ => StoreError::Internal(text),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt {
            what: "row",
            detail: text,
        },
        _ => StoreError::Internal(text),
    }
}

/// States that pass by themselves: shortage, conflict, deadlock, timeouts, start-up, a standby after failover.
fn is_passing(code: &str) -> bool {
    code.starts_with("53")
        || matches!(
            code,
            "40001" | "40P01" | "55P03" | "57014" | "57P03" | "57P05" | "25006"
        )
}

/// A value that cannot be what was written.
pub(crate) fn corrupt(what: &'static str, detail: impl ToString) -> StoreError {
    StoreError::Corrupt {
        what,
        detail: detail.to_string(),
    }
}
