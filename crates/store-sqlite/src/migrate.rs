//! Schema versions, kept in `PRAGMA user_version`. Each file runs once, in one transaction.

use ag_store::Result;

use crate::{db::Db, error::corrupt};

/// The files, in order; the position is the version.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/sqlite/0001_initial.sql")];

/// Brings the schema to the newest version.
///
/// # Errors
/// When a statement fails, or the file was written by a newer program.
pub(crate) fn migrate(db: &Db) -> Result<()> {
    let stored = db
        .first("PRAGMA user_version", &[], |row| row.int())?
        .unwrap_or_default();
    let version = usize::try_from(stored).map_err(|_| corrupt("schema version", stored))?;
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
