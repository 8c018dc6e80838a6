//! Schema versions, kept in `PRAGMA user_version`. Each file runs once, in one transaction.

use std::path::Path;

use ag_store::Result;

use crate::{
    db::{Access, Db},
    error::corrupt,
};

/// The files, in order; the position is the version.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_memory.sql"),
    include_str!("../../../migrations/sqlite/0003_row_security.sql"),
    include_str!("../../../migrations/sqlite/0004_bundle_references.sql"),
    include_str!("../../../migrations/sqlite/0005_driven_epochs.sql"),
];

/// Version of the schema that this program works with.
pub const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Version of the schema in a file; 0 where there is none. Changes nothing. Blocks.
///
/// # Errors
/// When the file is no database or cannot be read.
pub fn schema_version(file: &Path) -> Result<usize> {
    if !file.exists() {
        return Ok(0);
    }
    stored_version(&Db::open(file, Access::Read, "")?)
}

fn stored_version(db: &Db) -> Result<usize> {
    let stored = db
        .first("PRAGMA user_version", &[], |row| row.int())?
        .unwrap_or_default();
    usize::try_from(stored).map_err(|_| corrupt("schema version", stored))
}

/// Brings the schema to the newest version.
///
/// # Errors
/// When a statement fails, or the file was written by a newer program.
pub(crate) fn migrate(db: &Db) -> Result<()> {
    let version = stored_version(db)?;
    if version > MIGRATIONS.len() {
        let newest = MIGRATIONS.len();
        return Err(corrupt(
            "schema version",
            format!("{version} is newer than {newest}, the newest known here"),
        ));
    }
    for (index, body) in MIGRATIONS.iter().enumerate().skip(version) {
        let target = index + 1;
        let script = format!("BEGIN IMMEDIATE;\n{body}\nPRAGMA user_version = {target};\nCOMMIT;");
        if let Err(error) = db.batch(&script) {
            let _ = db.batch("ROLLBACK");
            return Err(error);
        }
        tracing::info!(version = target, "schema migrated");
    }
    Ok(())
}
