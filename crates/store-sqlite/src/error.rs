//! Translation of driver errors.

use ag_store::StoreError;

/// Primary result codes of SQLite that mean "try again later": busy, locked, read-only, I/O, full, cannot open.
const UNAVAILABLE: [i32; 6] = [5, 6, 8, 10, 13, 14];
/// The file is damaged or no database.
const DAMAGED: [i32; 2] = [11, 26];

/// What a failed statement means to the caller.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    match error {
        sqlx::Error::Database(inner) => {
            let extended = inner
                .code()
                .and_then(|code| code.parse::<i32>().ok())
                .unwrap_or(0);
            let primary = extended & 0xff;
            if UNAVAILABLE.contains(&primary) {
                StoreError::Unavailable(text)
            } else if DAMAGED.contains(&primary) {
                StoreError::Corrupt {
                    what: "database file",
                    detail: text,
                }
            } else {
                StoreError::Internal(text)
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable(text),
        _ => StoreError::Internal(text),
    }
}

/// A value that cannot be what was written.
pub(crate) fn corrupt(what: &'static str, detail: impl ToString) -> StoreError {
    StoreError::Corrupt {
        what,
        detail: detail.to_string(),
    }
}
