//! Failures of the object store as failures of the port.

use std::io;

use ag_artifacts::BlobError;

/// The object store's answer, with "not found" as `None`.
pub(crate) fn present<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names what failed. The library's texts hold addresses and status lines, never keys.
pub(crate) fn failed(
    action: &'static str,
    subject: impl std::fmt::Display,
) -> impl FnOnce(object_store::Error) -> BlobError {
    let wrap = BlobError::store(action, subject);
    move |error| wrap(io::Error::other(error))
}
