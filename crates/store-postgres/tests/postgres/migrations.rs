//! Migrations.

use std::collections::BTreeSet;

use ag_store_postgres::{OpenError, PostgresOptions, PostgresStore, SCHEMA_VERSION, migrate, schema_version};
use ag_testkit::ScratchPostgres;
use tokio::task::JoinSet;

async fn connect(server: &ScratchPostgres, database: &str) -> Result<(), OpenError> {
    let options = PostgresOptions::new(server.url(database).into());
    PostgresStore::connect(options).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_is_idempotent_and_exclusive() {
    let Some(server) = ScratchPostgres::shared() else {
        return;
    };
    let database = server.database().await;
    let url = server.url(&database);
    assert_eq!(schema_version(&url.clone().into()).await.expect("version"), 0);
    let empty = connect(server, &database).await;
    assert!(matches!(empty, Err(OpenError::Empty)), "{empty:?}");
    let mut migrations = JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        migrations.spawn(async move { migrate(&url.into()).await });
    }
    for version in migrations.join_all().await {
        assert_eq!(version.expect("migration"), SCHEMA_VERSION);
    }
    connect(server, &database).await.expect("a migrated database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_schemas_are_refused() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut conn = server.connect(&database).await;
    let mut change = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&mut conn).await.expect("change");
    };
    change("INSERT INTO schema_migrations (version, name, checksum) VALUES (999, '0999_future', 'x')").await;
    let newer = connect(server, &database).await;
    assert!(
        matches!(newer, Err(OpenError::Newer { found: 999, .. })),
        "{newer:?}"
    );
    let migrated = migrate(&server.url(&database).into()).await;
    assert!(matches!(migrated, Err(OpenError::Newer { .. })), "{migrated:?}");
    change("DELETE FROM schema_migrations WHERE version = 999; UPDATE schema_migrations SET checksum = 'x'")
        .await;
    let changed = connect(server, &database).await;
    assert!(
        matches!(changed, Err(OpenError::Changed { version: 1 })),
        "{changed:?}"
    );
    change("DELETE FROM schema_migrations").await;
    let older = connect(server, &database).await;
    assert!(matches!(older, Err(OpenError::Empty)), "{older:?}");
}

/// Tables and columns of the twin, by name and nullability; leases and the schema's history exist here only, the
/// state of the embedded process there only.
#[tokio::test]
async fn the_twin_has_the_same_columns() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut conn = server.connect(&database).await;
    let rows: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT IN ('runner_sessions', 'schema_migrations')",
    )
    .fetch_all(&mut conn)
    .await
    .expect("columns");
    let ours: BTreeSet<_> = rows.into_iter().collect();
    assert_eq!(
        ours,
        twin(include_str!("../../../../migrations/sqlite/0001_initial.sql"))
    );
}

/// Reads `CREATE TABLE name (`, one column per line, `)`.
fn twin(sql: &str) -> BTreeSet<(String, String, bool)> {
    let (mut columns, mut table) = (BTreeSet::new(), None);
    for line in sql.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            table = name
                .split_whitespace()
                .next()
                .filter(|name| *name != "store_state");
        } else if line.starts_with(')') {
            table = None;
        } else if let (Some(table), Some(column)) = (table, line.split_whitespace().next())
            && column.starts_with(|first: char| first.is_ascii_lowercase())
        {
            let required = line.contains("NOT NULL") || line.contains("PRIMARY KEY");
            columns.insert((table.to_owned(), column.to_owned(), !required));
        }
    }
    columns
}
