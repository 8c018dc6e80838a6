//! Connections and statements that calls share.

use std::{sync::Arc, time::Duration};

use ag_store::{Planes as _, Rest, RunReads as _, RunStore as _, StartOutcome};
use ag_store_postgres::{PostgresOptions, PostgresStore};
use ag_testkit::ScratchPostgres;
use ag_types::{PlaneKey, RunId, SessionId, TenantScope};
use sqlx::{Connection as _, Row as _};
use tokio::{sync::Barrier, task::JoinSet};

use crate::build::{SYSTEM, commit, only, session, start};

const CONNECTIONS: u32 = 6;

async fn store() -> Option<(&'static ScratchPostgres, String, Arc<PostgresStore>)> {
    let (server, database) = crate::migrated().await?;
    let options = PostgresOptions {
        max_connections: CONNECTIONS,
        ..PostgresOptions::new(server.url(&database).into())
    };
    let store = PostgresStore::connect(options).await.expect("store");
    Some((server, database, store))
}

/// A run of `scope` with `8 × commits` records.
async fn run_with(store: &PostgresStore, scope: &TenantScope, me: SessionId, commits: usize) -> RunId {
    let new = start();
    let outcome = store.start(scope, new.clone()).await;
    assert_eq!(outcome.expect("start"), StartOutcome::Created);
    let key = ag_types::RunKey {
        run: new.runs[0].head.run_id,
        plane: scope.plane,
    };
    let mut run = only(store.claim(&SYSTEM, me, &[key], &[]).await.expect("claim"));
    for _ in 0..commits {
        store
            .commit(&SYSTEM, commit(me, &run, Rest::Keep))
            .await
            .expect("commit");
        run.rev += 1;
        run.last_seq += 8;
    }
    key.run
}

/// Sessions of the store's database, our own look apart.
async fn sessions(server: &ScratchPostgres, database: &str) -> i64 {
    let mut admin = server.connect("postgres").await;
    let row = sqlx::query("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
        .bind(database)
        .fetch_one(&mut admin)
        .await
        .expect("count");
    admin.close().await.expect("closed");
    row.get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_read_together_are_each_run_s_own() {
    let Some((_, _, store)) = store().await else {
        return;
    };
    let me = SessionId(7);
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let other = PlaneKey {
        tenant_id: "tenant".into(),
        runtime_id: "runtime".into(),
    };
    let other = store.plane(&SYSTEM, &other).await.expect("plane");
    let scopes = [TenantScope::root(), other];
    let mut runs = Vec::new();
    for commits in 0..4 {
        for scope in &scopes {
            runs.push((scope.clone(), run_with(&store, scope, me, commits).await, commits));
        }
    }
    let runs = Arc::new(runs);
    let start = Arc::new(Barrier::new(96));
    let mut readers = JoinSet::new();
    for i in 0..96_usize {
        let (store, runs, scopes, start) = (store.clone(), runs.clone(), scopes.clone(), start.clone());
        readers.spawn(async move {
            let (scope, run, commits) = &runs[i % runs.len()];
            let after = (i % 3 * 5) as i64;
            start.wait().await;
            let page = store
                .ledger(scope, *run, after, 16)
                .await
                .expect("read")
                .expect("a run");
            let all = 8 * *commits as i64;
            let expected: Vec<i64> = (after + 1..=all).take(16).collect();
            let found: Vec<i64> = page.records().map(|(seq, _)| seq).collect();
            assert_eq!((page.last_seq, found), (all, expected), "reader {i}");
            // In the other plane there is no such run.
            let strange = scopes
                .iter()
                .find(|other| other.plane != scope.plane)
                .expect("another");
            assert!(store.ledger(strange, *run, 0, 16).await.expect("read").is_none());
        });
    }
    while let Some(read) = readers.join_next().await {
        read.expect("reader");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_as_many_as_allowed_and_end_with_the_store() {
    let Some((server, database, store)) = store().await else {
        return;
    };
    let run = RunId(uuid::Uuid::now_v7());
    let mut readers = JoinSet::new();
    for i in 0..200_usize {
        let store = store.clone();
        readers.spawn(async move {
            // Large pages go alone, small ones together; some callers go away.
            let limit = if i.is_multiple_of(2) { 1_000 } else { 10 };
            let read = store.ledger(&TenantScope::root(), run, 0, limit).await;
            assert!(read.expect("a free connection").is_none());
        });
    }
    for _ in 0..20 {
        let scope = TenantScope::root();
        let read = store.ledger(&scope, run, 0, 1_000);
        let _ = tokio::time::timeout(Duration::from_micros(50), read).await;
    }
    while let Some(read) = readers.join_next().await {
        read.expect("reader");
    }
    let open = sessions(server, &database).await;
    assert!((1..=i64::from(CONNECTIONS)).contains(&open), "{open} sessions");
    store.close().await;
    assert_eq!(sessions(server, &database).await, 0);
    assert!(store.ledger(&TenantScope::root(), run, 0, 1_000).await.is_err());
}
