//! Row-level security: the last net below the scopes of the program.

use std::sync::Arc;

use ag_store::{
    CommandStore as _, CommandTarget, Document, DocumentKind, Documents as _, MailKind, NewCommand, OwnerRow,
    OwnerStore as _, Planes as _, PutMode, Rest, RunFilter, RunReads as _, RunStore as _, StartKey,
    StoreError,
};
use ag_store_postgres::{OpenError, PostgresOptions, PostgresStore, Role, migrate, plan};
use ag_testkit::{Durability, ScratchPostgres};
use ag_types::{Clock as _, PlaneId, PlaneKey, RunId, SessionId, SystemClock, TenantScope};
use sqlx::{Connection as _, PgConnection};

use crate::build::{SYSTEM, commit, key, only, session, start};

/// Address of a database for another user of the same server.
pub(crate) fn url_of(server: &ScratchPostgres, database: &str, user: &str) -> String {
    server
        .url(database)
        .replacen("postgres://postgres@", &format!("postgres://{user}@"), 1)
}

async fn run_sql(conn: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(conn).await.expect(sql);
}

/// Users of both roles.
pub(crate) async fn users(conn: &mut PgConnection) {
    run_sql(
        conn,
        "DO $$ BEGIN \
         CREATE ROLE api_user LOGIN IN ROLE abstractgateway_api; \
         CREATE ROLE engine_user LOGIN IN ROLE abstractgateway_engine; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )
    .await;
}

pub(crate) async fn store(
    server: &ScratchPostgres,
    database: &str,
    user: &str,
    role: Role,
) -> Arc<PostgresStore> {
    let options = PostgresOptions::new(url_of(server, database, user).into());
    let store = PostgresStore::connect(options).await.expect("store");
    store.check_role(role).expect("a fitting user");
    store
}

fn filter() -> RunFilter {
    RunFilter {
        limit: 10,
        include_drafts: true,
        ..RunFilter::default()
    }
}

fn resume(run: RunId, id: &str) -> NewCommand {
    NewCommand {
        command_id: id.to_owned(),
        run_id: run.to_string(),
        kind: "resume".to_owned(),
        payload: "{}".to_owned(),
        client_id: None,
        ts: "2026-11-20T11:32:02Z".to_owned(),
        now: SystemClock.now(),
        targets: vec![CommandTarget {
            run,
            kind: MailKind::Resume,
            body: "{}".into(),
        }],
        outcome: None,
    }
}

/// Rows of the root plane in every table of the run path, written by a process that serves callers and one that runs.
async fn fill(api: &PostgresStore, engine: &PostgresStore) -> RunId {
    let (root, now) = (TenantScope::root(), SystemClock.now());
    engine.open_session(&SYSTEM, session(7)).await.expect("session");
    let mut first = start();
    first.key = Some(StartKey {
        key: "key".to_owned(),
        body_sha256: [7; 32],
        expires_before: now.plus_micros(-1),
    });
    api.start(&root, first.clone()).await.expect("start");
    let me = SessionId(7);
    let run = only(
        engine
            .claim(&SYSTEM, me, &[key(&first)], &[])
            .await
            .expect("claim"),
    );
    let keep = commit(me, &run, Rest::Keep);
    engine.commit(&SYSTEM, keep).await.expect("commit");
    api.post_command(&root, resume(run.key.run, "command"))
        .await
        .expect("post");
    let document = Document {
        id: "id".to_owned(),
        body: "{}".to_owned(),
        updated_at: now,
    };
    api.put_document(&root, DocumentKind::VisualFlow, document, PutMode::Upsert)
        .await
        .expect("document");
    let owner = OwnerRow {
        owner_id: "session_memory_s".to_owned(),
        session_id: Some("s".to_owned()),
        created_at: now,
        updated_at: now,
    };
    api.ensure_owner(&root, owner).await.expect("owner");
    run.key.run
}

async fn count(conn: &mut PgConnection, plane: Option<i32>, table: &str) -> i64 {
    // Safe: names from the catalogue.
    let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    let mut tx = conn.begin().await.expect("transaction");
    if let Some(plane) = plane {
        sqlx::query("SELECT set_config('gw.plane', $1, true)")
            .bind(plane.to_string())
            .execute(&mut *tx)
            .await
            .expect("plane");
    }
    let rows = sqlx::query_scalar(count).fetch_one(&mut *tx).await.expect(table);
    tx.rollback().await.expect("end");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_plane_nobody_sees_a_row() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut owner = server.connect(&database).await;
    users(&mut owner).await;
    let api = store(server, &database, "api_user", Role::Api).await;
    let engine = store(server, &database, "engine_user", Role::Engine).await;
    let run = fill(&api, &engine).await;
    let key = PlaneKey {
        tenant_id: "acme".into(),
        runtime_id: "alice".into(),
    };
    let other = api.plane(&SYSTEM, &key).await.expect("plane");
    assert_ne!(other.plane, PlaneId::ROOT);

    // The bare tables, as a statement that has forgotten its plane would see them.
    let url = url_of(server, &database, "api_user");
    let mut bare = PgConnection::connect(&url).await.expect("connection");
    for table in [
        "runs",
        "run_heads",
        "ledger",
        "mail",
        "commands",
        "start_keys",
        "documents",
        "memory_owners",
        "planes",
    ] {
        assert_eq!(count(&mut bare, None, table).await, 0, "{table} without a plane");
        let foreign = i64::from(table == "planes");
        assert_eq!(
            count(&mut bare, Some(other.plane.0), table).await,
            foreign,
            "{table} of another"
        );
        assert_eq!(
            count(&mut bare, Some(1), table).await,
            1,
            "{table} of the root plane"
        );
        assert!(count(&mut owner, None, table).await >= 1, "{table} as its owner");
    }

    // The same through the store, whose statements set the plane of their scope.
    let root = TenantScope::root();
    assert!(api.run(&root, run).await.expect("run").is_some());
    assert!(api.run(&other, run).await.expect("run").is_none());
    assert_eq!(api.runs(&root, filter()).await.expect("list").len(), 1);
    assert!(api.runs(&other, filter()).await.expect("list").is_empty());
    assert!(api.ledger(&other, run, 0, 10).await.expect("page").is_none());
    let page = api
        .ledger(&root, run, 0, 10)
        .await
        .expect("page")
        .expect("present");
    assert_eq!(page.records().count(), 8);
    assert!(api.command(&other, "command").await.expect("command").is_none());
    assert_eq!(api.purge_runs(&other, &[run]).await.expect("purge"), (0, 0, 0));
    assert_eq!(api.purge_runs(&root, &[run]).await.expect("purge"), (1, 8, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_nodes_may_not_do_the_work_of_runners() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    users(&mut server.connect(&database).await).await;
    let api = store(server, &database, "api_user", Role::Api).await;
    let engine = store(server, &database, "engine_user", Role::Engine).await;
    fill(&api, &engine).await;
    let refused = api.claim(&SYSTEM, SessionId(7), &[], &[]).await;
    assert!(
        matches!(&refused, Err(StoreError::Internal(text)) if text.contains("permission denied")),
        "{refused:?}"
    );
    // Counts, and where ledgers end, are no rows of a tenant.
    assert_eq!(api.pools(&SYSTEM).await.expect("pools").len(), 1);
    let refused = api.open_session(&SYSTEM, session(8)).await;
    assert!(
        matches!(&refused, Err(StoreError::Internal(text)) if text.contains("permission denied")),
        "{refused:?}"
    );

    let url = url_of(server, &database, "api_user");
    let mut bare = PgConnection::connect(&url).await.expect("connection");
    for (statement, refused) in [
        ("UPDATE documents SET body = 'x'", false),
        ("DELETE FROM runs", false),
        (
            "INSERT INTO documents (plane_id, kind, id, body, updated_at) VALUES (1, 'k', 'i', '', now())",
            true,
        ),
        ("DELETE FROM schema_migrations", true),
        ("SELECT grant_roles_v1()", true),
        ("ALTER TABLE runs DISABLE ROW LEVEL SECURITY", true),
    ] {
        let done = sqlx::raw_sql(statement).execute(&mut bare).await;
        match done {
            Ok(done) => assert!(!refused && done.rows_affected() == 0, "{statement}"),
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert!(
                    refused && code.as_deref() == Some("42501"),
                    "{statement}: {error}"
                );
            }
        }
    }
    let bound = api.check_role(Role::Engine);
    assert!(matches!(bound, Err(OpenError::Bound)), "{bound:?}");
}

/// From the catalogue, so that a new table cannot be forgotten.
#[tokio::test]
async fn every_table_of_planes_has_a_policy() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let url = server.url(&database);
    let mut conn = server.connect(&database).await;
    let uncovered = "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attname = 'plane_id' \
         AND NOT (c.relrowsecurity AND 2 = (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid \
         AND p.polname IN ('plane', 'engine') AND p.polpermissive AND p.polcmd = '*'))";
    let found: Vec<String> = sqlx::query_scalar(uncovered)
        .fetch_all(&mut conn)
        .await
        .expect("tables");
    assert!(found.is_empty(), "no policy: {found:?}");
    // Tables without planes hold nothing of a tenant.
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c WHERE c.relkind IN ('r', 'p') \
         AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'schema\\_%' AND NOT EXISTS ( \
         SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'plane_id') ORDER BY 1",
    )
    .fetch_all(&mut conn)
    .await
    .expect("tables");
    assert_eq!(others, ["runner_sessions"], "tables without a plane: is that so?");

    run_sql(&mut conn, "CREATE TABLE novelty (plane_id int)").await;
    let found: Vec<String> = sqlx::query_scalar(uncovered)
        .fetch_all(&mut conn)
        .await
        .expect("tables");
    assert_eq!(found, ["novelty"]);
    let planned = plan(&url.clone().into()).await.expect("plan");
    assert_eq!(planned.unprotected, ["novelty"]);
    let done = migrate(&url.into()).await.expect("migration");
    assert_eq!(done.protected, ["novelty"]);
    let found: Vec<String> = sqlx::query_scalar(uncovered)
        .fetch_all(&mut conn)
        .await
        .expect("tables");
    assert!(found.is_empty());
}

/// A managed database whose user owns it and may do nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_owner_works_without_roles_and_says_so() {
    // Roles belong to the server: one of its own.
    let Some(server) = ScratchPostgres::start(Durability::None) else {
        return;
    };
    let mut admin = server.connect("postgres").await;
    run_sql(&mut admin, "CREATE ROLE plain LOGIN").await;
    run_sql(&mut admin, "CREATE DATABASE managed OWNER plain").await;
    let url = url_of(&server, "managed", "plain");
    let done = migrate(&url.clone().into()).await.expect("migration");
    let [note] = done.notes.as_slice() else {
        panic!("{:?}", done.notes)
    };
    assert!(note.contains("CREATE ROLE abstractgateway_api NOLOGIN"), "{note}");
    assert!(!done.protected.is_empty());
    let owner = store(&server, "managed", "plain", Role::Engine).await;
    let run = start();
    owner
        .start(&TenantScope::root(), run.clone())
        .await
        .expect("start");
    assert!(
        owner
            .run(&TenantScope::root(), key(&run).run)
            .await
            .expect("run")
            .is_some()
    );

    run_sql(
        &mut admin,
        "CREATE ROLE abstractgateway_api NOLOGIN; CREATE ROLE abstractgateway_engine NOLOGIN",
    )
    .await;
    let done = migrate(&url.into()).await.expect("migration");
    assert!(done.notes.is_empty(), "{:?}", done.notes);
    assert!(done.applied.is_empty() && !done.protected.is_empty());
    users(&mut admin).await;
    let api = store(&server, "managed", "api_user", Role::Api).await;
    assert!(
        api.run(&TenantScope::root(), key(&run).run)
            .await
            .expect("run")
            .is_some()
    );
    let engine = store(&server, "managed", "engine_user", Role::Engine).await;
    engine.open_session(&SYSTEM, session(7)).await.expect("session");
    let claim = engine.claim(&SYSTEM, SessionId(7), &[key(&run)], &[]).await;
    assert_eq!(claim.expect("claim").runs.len(), 1);
}
