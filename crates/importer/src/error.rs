//! Why an import stops. Single broken runs or files do not stop it; they are in the report.

use std::{io, path::PathBuf};

use ag_artifacts::BlobError;
use ag_store::StoreError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The path holds no data of the expected kind.
    #[error("{} holds no {expected}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
    },
    /// A process writes to the source.
    #[error("{} is in use: stop the gateway that has it open, then repeat", .0.display())]
    SourceInUse(PathBuf),
    /// A process works on the target.
    #[error("the target is in use ({0}): stop it, then repeat")]
    TargetInUse(String),
    /// Source and target would be one file.
    #[error(
        "source and target are the same file, {}: choose another data directory for this gateway (--data-dir)",
        .0.display()
    )]
    SameFile(PathBuf),
    /// The source cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The source's database.
    #[error("reading the source's database: {0}")]
    SourceDatabase(#[source] rusqlite::Error),
    /// The target's database, where rows are copied directly.
    #[error("writing to the target's database: {0}")]
    TargetDatabase(#[source] sqlx::Error),
    /// The schema of the source is not this program's.
    #[error(
        "the source has schema version {found}, this program needs {needed}: start it once with this version"
    )]
    Schema {
        /// Version found.
        found: i64,
        /// Version needed.
        needed: i64,
    },
    /// Rows that are missing after a copy.
    #[error("{missing} rows of table {table} did not arrive")]
    Incomplete {
        /// Table.
        table: String,
        /// Rows of the source that the target lacks.
        missing: i64,
    },
    /// The target.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes of an artifact.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A command of the source could not be posted.
    #[error("posting command {id}: {reason}")]
    Command {
        /// Command.
        id: String,
        /// Why.
        reason: String,
    },
    /// A part of the importer stopped.
    #[error("the import was interrupted")]
    Interrupted,
}

impl ImportError {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
