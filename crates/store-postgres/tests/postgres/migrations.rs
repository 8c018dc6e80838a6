//! Migrations.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ag_store::{Rest, RunReads as _, RunStore as _};
use ag_store_postgres::{
    OpenError, PostgresOptions, PostgresStore, SCHEMA_VERSION, migrate, migrate_to, plan, schema_version,
};
use ag_testkit::ScratchPostgres;
use ag_types::{SessionId, TenantScope};
use tokio::task::JoinSet;

use crate::build::{SYSTEM, commit, key, only, session, start};

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
        assert_eq!(version.expect("migration").version, SCHEMA_VERSION);
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
         WHERE table_schema = 'public' AND table_name NOT IN ('runner_sessions', 'schema_migrations', 'schema_lease')",
    )
    .fetch_all(&mut conn)
    .await
    .expect("columns");
    let ours: BTreeSet<_> = rows.into_iter().collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
    let mut theirs = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("migrations") {
        let text = std::fs::read_to_string(file.expect("file").path()).expect("text");
        theirs.extend(twin(&text));
    }
    assert_eq!(ours, theirs);
}

/// Reads `CREATE TABLE name (`, one column per line, `)`, and `ALTER TABLE name ADD COLUMN column ...`.
fn twin(sql: &str) -> BTreeSet<(String, String, bool)> {
    let (mut columns, mut table) = (BTreeSet::new(), None);
    for line in sql.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            table = name
                .split_whitespace()
                .next()
                .filter(|name| *name != "store_state");
        } else if let Some((name, column)) = line
            .strip_prefix("ALTER TABLE ")
            .and_then(|rest| rest.split_once(" ADD COLUMN "))
        {
            let column_name = column.split_whitespace().next().unwrap_or_default();
            let required = column.contains("NOT NULL");
            columns.insert((name.to_owned(), column_name.to_owned(), !required));
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

/// A migration that died holds its lease for a while; one that works keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_migration_works_at_a_time() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let url = server.url(&database);
    let mut conn = server.connect(&database).await;
    let mut change = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&mut conn).await.expect(sql);
    };
    change(
        "UPDATE schema_lease SET holder = gen_random_uuid(), expires_at = clock_timestamp() + interval '1 hour'",
    )
    .await;
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { migrate(&url.into()).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "the lease was not respected");
    // Expired, but its holder is at work: the row is locked.
    change("BEGIN; UPDATE schema_lease SET expires_at = clock_timestamp() - interval '1 second'").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "a lease was taken from under its holder");
    change("COMMIT").await;
    let done = waiting.await.expect("task").expect("migration");
    assert_eq!((done.version, done.applied.len()), (SCHEMA_VERSION, 0));
    let held: bool = sqlx::query_scalar("SELECT holder IS NOT NULL FROM schema_lease")
        .fetch_one(&mut conn)
        .await
        .expect("lease");
    assert!(!held, "the lease was not given back");
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let Some(server) = ScratchPostgres::shared() else {
        return;
    };
    let database = server.database().await;
    let url = server.url(&database);
    let before = plan(&url.clone().into()).await.expect("plan");
    assert_eq!((before.found, before.needed), (0, SCHEMA_VERSION));
    assert_eq!(before.pending.first(), Some(&"0001_initial"));
    assert!(!before.is_done());
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut server.connect(&database).await)
        .await
        .expect("tables");
    assert_eq!(tables, 0);
    migrate(&url.clone().into()).await.expect("migration");
    let after = plan(&url.into()).await.expect("plan");
    assert!(after.is_done() && after.notes.is_empty(), "{after:?}");
}

/// The program of the first version goes on while its database is migrated, even where a long reader holds up the
/// locks that a migration needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_previous_version_works_meanwhile() {
    let Some((server, newest)) = crate::migrated().await else {
        return;
    };
    let database = server.database().await;
    let url = server.url(&database);
    let first = migrate_to(&url.clone().into(), 1).await.expect("first version");
    assert_eq!(first.applied, ["0001_initial"]);
    let older = connect(server, &database).await;
    assert!(
        matches!(older, Err(OpenError::Older { found: 1, .. })),
        "{older:?}"
    );
    assert!(older.is_err_and(|error| error.to_string().contains("run `abstractgateway migrate`")));

    // A store that believes in the newest version stands for the old program: its hot statements are those.
    let mut conn = server.connect(&database).await;
    let later: Vec<(i32, String, String)> =
        sqlx::query_as("SELECT version, name, checksum FROM schema_migrations WHERE version > 1")
            .fetch_all(&mut server.connect(&newest).await)
            .await
            .expect("history");
    for (version, name, checksum) in later {
        sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(name)
            .bind(checksum)
            .execute(&mut conn)
            .await
            .expect("history");
    }
    let store = PostgresStore::connect(PostgresOptions::new(url.clone().into()))
        .await
        .expect("store");
    sqlx::raw_sql("DELETE FROM schema_migrations WHERE version > 1")
        .execute(&mut conn)
        .await
        .expect("history");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let done = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn({
        let done = done.clone();
        async move {
            let (root, me) = (TenantScope::root(), SessionId(7));
            let mut runs = 0;
            while !done.load(Ordering::Relaxed) {
                let run = start();
                store.start(&root, run.clone()).await.expect("start");
                let claim = store.claim(&SYSTEM, me, &[key(&run)], &[]).await.expect("claim");
                let end = commit(me, &only(claim), Rest::Terminal);
                store.commit(&SYSTEM, end).await.expect("commit");
                let page = store.ledger(&root, key(&run).run, 0, 100).await.expect("page");
                assert_eq!(page.expect("present").records().count(), 8);
                runs += 1;
            }
            runs
        }
    });
    let mut reader = server.connect(&database).await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM runs")
        .execute(&mut reader)
        .await
        .expect("long read");
    let migrating = tokio::spawn(async move { migrate(&url.into()).await });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!migrating.is_finished(), "the long reader was not in the way");
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("end");
    let migrated = migrating.await.expect("task").expect("migration");
    assert_eq!(migrated.version, SCHEMA_VERSION);
    done.store(true, Ordering::Relaxed);
    let runs: i64 = working.await.expect("no statement of the old program failed");
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE status = 'completed'")
        .fetch_one(&mut conn)
        .await
        .expect("runs");
    assert!(runs > 0 && runs == stored, "{runs} of {stored}");
    connect(server, &database).await.expect("the newest version");
}
