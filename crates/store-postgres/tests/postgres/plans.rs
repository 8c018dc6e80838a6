//! Hot statements use exactly one index: on a database that is empty, and on one that was filled while the plans made
//! on the empty one are still in use.

use std::{collections::BTreeMap, sync::Arc};

use ag_store::{
    CandidateQuery, CommandStore as _, CommandTarget, MailKind, NewCommand, OutMail, PostOutcome, Rest,
    RunReads as _, RunStore as _, Sweep,
};
use ag_store_postgres::{PostgresOptions, PostgresStore};
use ag_types::{Clock as _, PlaneId, SessionId, SystemClock, TenantScope};
use sqlx::PgConnection;

use crate::build::{SYSTEM, commit, key, only, session, start};

const ROUNDS: i64 = 12;
/// Rows of other runs; a plan that walks an index would read them all.
const OTHERS: i64 = 30_000;

/// Every hot statement, several times: servers make a lasting plan at once for functions, later for others.
async fn work(store: &Arc<PostgresStore>, me: SessionId, name: &str) {
    let root = TenantScope::root();
    for round in 0..ROUNDS {
        let (first, second) = (start(), start());
        store.start(&root, first.clone()).await.expect("start");
        store.start(&root, second.clone()).await.expect("start");
        let run = only(
            store
                .claim(&SYSTEM, me, &[key(&first)], &[])
                .await
                .expect("claim"),
        );
        let mut send = commit(me, &run, Rest::Keep);
        send.mail = vec![OutMail {
            to: key(&second).run,
            kind: MailKind::Event,
            body: "{}".into(),
            command_id: None,
        }];
        store.commit(&SYSTEM, send).await.expect("commit");
        let command = NewCommand {
            command_id: format!("{name}-{round}"),
            run_id: run.key.run.to_string(),
            kind: "resume".to_owned(),
            payload: "{}".to_owned(),
            client_id: None,
            ts: "2026-11-20T11:32:02Z".to_owned(),
            now: SystemClock.now(),
            targets: vec![CommandTarget {
                run: run.key.run,
                kind: MailKind::Resume,
                body: "{}".into(),
            }],
            outcome: None,
        };
        let posted = store.post_command(&root, command).await.expect("post");
        assert!(matches!(posted, PostOutcome::Accepted { .. }), "{posted:?}");
        let mut end = commit(me, &run, Rest::Terminal);
        (end.rev, end.seen, end.segments, end.last_seq) = (run.rev + 1, 1, Vec::new(), run.last_seq + 8);
        store.commit(&SYSTEM, end).await.expect("commit");
        let other = only(
            store
                .claim(&SYSTEM, me, &[key(&second)], &[])
                .await
                .expect("claim"),
        );
        store.read_mail(&SYSTEM, other.key, 0).await.expect("mail");
        store
            .commit(&SYSTEM, commit(me, &other, Rest::Wait { wake_at: None }))
            .await
            .expect("commit");
        store.ledger(&root, run.key.run, 4, 2).await.expect("page");
        store.tails(&SYSTEM, &[run.key, other.key]).await.expect("tails");
        store.run(&root, run.key.run).await.expect("run");
        store.beat(&SYSTEM, me, "default").await.expect("beat");
        store.sweep(&SYSTEM, Sweep::Timers).await.expect("sweep");
        let query = CandidateQuery {
            pool: "default".into(),
            limit: 8,
            after_plane: PlaneId(0),
        };
        store.candidates(&SYSTEM, query).await.expect("candidates");
    }
}

async fn fill(conn: &mut PgConnection) {
    sqlx::raw_sql(
        "INSERT INTO runs SELECT gen_random_uuid(), 1, 'waiting', 0, 0, 8, now(), now(), false, 0, 0, 0, 0, NULL, \
         'w', NULL, 's', NULL, 'n', NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, '{}' \
         FROM generate_series(1, 30000); \
         INSERT INTO run_heads (run_id, plane_id, pool, ready_at, owner) SELECT run_id, 1, 'default', \
         CASE WHEN random() < 0.5 THEN now() END, CASE WHEN random() < 0.3 THEN 99 END FROM runs WHERE workflow_id = 'w'; \
         INSERT INTO ledger SELECT run_id, 1, 8, 1, '{}' FROM runs WHERE workflow_id = 'w'; \
         INSERT INTO mail SELECT run_id, 1, 1, 'event', '{}' FROM runs WHERE workflow_id = 'w'",
    )
    .execute(conn)
    .await
    .expect("fill");
}

/// Sequential scans by table, and rows read by index.
async fn counts(conn: &mut PgConnection) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let tables: Vec<(String, i64)> = sqlx::query_as(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables \
         WHERE relname IN ('runs', 'run_heads', 'ledger', 'mail', 'commands', 'start_keys')",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("tables");
    let indexes: Vec<(String, i64)> = sqlx::query_as(
        "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes \
         WHERE relname IN ('runs', 'run_heads', 'ledger', 'mail', 'commands', 'start_keys')",
    )
    .fetch_all(conn)
    .await
    .expect("indexes");
    (tables.into_iter().collect(), indexes.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_walks_a_table_or_an_index() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut conn = server.connect(&database).await;
    // What autovacuum does to an idle new database: the statistics now say that all tables are empty.
    sqlx::raw_sql("VACUUM ANALYZE")
        .execute(&mut conn)
        .await
        .expect("vacuum");
    for table in ["runs", "run_heads", "ledger", "mail"] {
        // Safe: a list in this file.
        let off = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"));
        sqlx::raw_sql(off).execute(&mut conn).await.expect("settings");
    }
    let store = PostgresStore::connect(PostgresOptions::new(server.url(&database).into()))
        .await
        .expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    work(&store, SessionId(7), "empty").await;
    fill(&mut conn).await;
    // The figures of a connection arrive when it ends or asks for it.
    sqlx::raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(&mut conn)
        .await
        .expect("flush");
    let before = counts(&mut server.connect(&database).await).await;
    work(&store, SessionId(7), "filled").await;
    store.close().await;
    let after = counts(&mut server.connect(&database).await).await;
    let walked: Vec<_> = after
        .0
        .iter()
        .filter(|(table, scans)| **scans > before.0[*table])
        .collect();
    assert!(walked.is_empty(), "sequential scans: {walked:?}");
    let read: Vec<_> = after
        .1
        .iter()
        .map(|(index, read)| (index, read - before.1[index]))
        .filter(|(_, read)| *read > OTHERS / 2)
        .collect();
    assert!(read.is_empty(), "index rows read in {ROUNDS} rounds: {read:?}");
}
