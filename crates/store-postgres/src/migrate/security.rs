//! Roles, grants and row-level security: brought up to date by each migration, so that no table can be forgotten.

use sqlx::{PgConnection, Row as _};

use super::{
    Lease,
    steps::{self, Step},
};
use crate::{connect::OpenError, error::read_error};

const HAS_FUNCTIONS: &str = "SELECT to_regproc('grant_roles_v1') IS NOT NULL";
const UNPROTECTED: &str = "SELECT t::text FROM unprotected_tables_v1() t";

const ROLES: &str =
    "SELECT count(*) = 2 FROM pg_roles WHERE rolname IN ('abstractgateway_api', 'abstractgateway_engine')";
const MAY_CREATE: &str = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user";
const ROLES_NOTE: &str = "the roles of row-level security do not exist, and this user may not create roles. Until then \
     `serve` and `runner` must connect as the owner of the tables, which row-level security does not bind. To use it, \
     have an administrator run\n  CREATE ROLE abstractgateway_api NOLOGIN;\n  CREATE ROLE abstractgateway_engine \
     NOLOGIN;\nand run `abstractgateway migrate` again";

/// Settings of the database that are not as the first migration wants them.
const SETTINGS: &str = "SELECT format('ALTER DATABASE %I SET %I = %L;', current_database(), w.name, w.value) \
     FROM (VALUES ('statement_timeout', '10s'), ('lock_timeout', '2s'), ('jit', 'off'), \
     ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), \
     ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('enable_material', 'off')) w(name, value) \
     WHERE to_regclass('run_heads') IS NOT NULL AND NOT EXISTS ( \
      SELECT FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) c WHERE s.setrole = 0 \
      AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) \
      AND split_part(c, '=', 1) = w.name)";
const SETTINGS_NOTE: &str = "this user does not own the database, so its timeouts and plan settings are not set. Have \
     its owner run";

/// Makes the roles, protects tables one by one, grants; the tables that came under protection.
pub(super) async fn establish(conn: &mut PgConnection, lease: &Lease) -> Result<Vec<String>, OpenError> {
    if !steps::ask(conn, HAS_FUNCTIONS).await? {
        return Ok(Vec::new());
    }
    // Roles first: protection names them. Tables last made get their grants with it.
    steps::take(conn, lease, Step::Roles).await?;
    let tables = unprotected(conn).await?;
    for table in &tables {
        steps::take(conn, lease, Step::Protect(table)).await?;
    }
    Ok(tables)
}

/// Tables with planes that row-level security does not cover yet.
pub(super) async fn unprotected(conn: &mut PgConnection) -> Result<Vec<String>, OpenError> {
    if !steps::ask(conn, HAS_FUNCTIONS).await? {
        return Ok(Vec::new());
    }
    let rows = steps::query(conn, UNPROTECTED).await?;
    let names = rows
        .iter()
        .map(|row| row.try_get(0).map_err(|error| read_error(error).into()));
    names.collect()
}

/// What only an administrator can do.
pub(super) async fn notes(conn: &mut PgConnection) -> Result<Vec<String>, OpenError> {
    let mut notes = Vec::new();
    if !steps::ask(conn, ROLES).await? && !steps::ask(conn, MAY_CREATE).await? {
        notes.push(ROLES_NOTE.to_owned());
    }
    let mut note = SETTINGS_NOTE.to_owned();
    let rows = steps::query(conn, SETTINGS).await?;
    for row in &rows {
        note.push_str("\n  ");
        note.push_str(row.try_get(0).map_err(read_error)?);
    }
    if !rows.is_empty() {
        notes.push(note);
    }
    Ok(notes)
}
