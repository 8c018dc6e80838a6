//! Lost connections and bad neighbours.

use std::sync::Arc;

use ag_store::{CommitOutcome, Rest, RunReads as _, RunStore as _, StartOutcome, StoreError};
use ag_store_postgres::{OpenError, PostgresOptions, PostgresStore};
use ag_testkit::ScratchPostgres;
use ag_types::{SessionId, TenantScope};
use tokio::task::JoinSet;

use crate::build::{SYSTEM, commit, key, only, session, start};

async fn store() -> Option<(&'static ScratchPostgres, String, Arc<PostgresStore>)> {
    let (server, database) = crate::migrated().await?;
    let options = PostgresOptions::new(server.url(&database).into());
    let store = PostgresStore::connect(options).await.expect("store");
    Some((server, database, store))
}

/// Ends every connection of the store, as a restart of the server does.
async fn cut(server: &ScratchPostgres, database: &str) {
    let mut admin = server.connect("postgres").await;
    let ended =
        sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .execute(&mut admin)
            .await
            .expect("cut");
    assert!(ended.rows_affected() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_survive_lost_connections() {
    let Some((server, database, store)) = store().await else {
        return;
    };
    let me = SessionId(7);
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let first = start();
    let outcome = store.start(&TenantScope::root(), first.clone()).await;
    assert_eq!(outcome.expect("start"), StartOutcome::Created);
    let mut run = only(
        store
            .claim(&SYSTEM, me, &[key(&first)], &[])
            .await
            .expect("claim"),
    );
    for _ in 0..2 {
        let written = store.commit(&SYSTEM, commit(me, &run, Rest::Keep)).await;
        assert_eq!(written.expect("commit"), CommitOutcome::Committed { mail_in: 0 });
        run.rev += 1;
        run.last_seq += 8;
        cut(server, &database).await;
    }
    // The first call that meets the cut repeats itself on another connection.
    let again = store.start(&TenantScope::root(), start()).await;
    assert_eq!(again.expect("start"), StartOutcome::Created);
    let end = store.commit(&SYSTEM, commit(me, &run, Rest::Terminal)).await;
    assert_eq!(end.expect("commit"), CommitOutcome::Committed { mail_in: 0 });
    let page = store.ledger(&TenantScope::root(), run.key.run, 0, 100).await;
    assert_eq!(page.expect("read").expect("present").records().count(), 24);
    store.close().await;
    let closed = store.start(&TenantScope::root(), start()).await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_call_fails_alone() {
    let Some((_, _, store)) = store().await else {
        return;
    };
    let mut calls = JoinSet::new();
    for n in 0..40 {
        let (store, mut start) = (store.clone(), start());
        if n == 20 {
            // The server refuses U+0000 in text.
            start.runs[0].columns.vars = "\0".into();
        }
        calls.spawn(async move { (n, store.start(&TenantScope::root(), start).await) });
    }
    for (n, outcome) in calls.join_all().await {
        match outcome {
            Ok(outcome) => assert!(n != 20 && outcome == StartOutcome::Created),
            Err(error) => assert!(n == 20 && matches!(error, StoreError::Internal(_)), "{n} {error}"),
        }
    }
}

#[tokio::test]
async fn unreachable_and_unreadable_addresses() {
    for (url, readable) in [
        ("postgres://me:secret@localhost/x?host=/nonexistent", true),
        ("postgres//me:secret@localhost", false),
    ] {
        let failed = PostgresStore::connect(PostgresOptions::new(url.into())).await;
        let Err(error) = failed else { panic!("{url}") };
        assert!(!format!("{error} {error:?}").contains("secret"));
        let unavailable = matches!(error, OpenError::Store(StoreError::Unavailable(_)));
        assert!(
            if readable {
                unavailable
            } else {
                matches!(error, OpenError::Url)
            },
            "{error:?}"
        );
    }
}
