//! Connections that are lost around a commit: the same call is sent again, and the revision makes it happen once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ag_store::{
    ClaimedRun, CommandStore as _, CommandTarget, CommitOutcome, MailKind, NewCommand, PostOutcome, Rest,
    RunReads as _, RunStore as _, StartOutcome, StoreError,
};
use ag_store_postgres::{PostgresOptions, PostgresStore, migrate};
use ag_testkit::{Direction, Durability, Fault, FaultProxy, ScratchPostgres};
use ag_types::{Clock as _, RunId, RunKey, SessionId, SystemClock, TenantScope};
use sqlx::PgConnection;

use crate::build::{SYSTEM, commit, key, only, session, start};

const ME: SessionId = SessionId(7);

async fn held(store: &PostgresStore) -> ClaimedRun {
    let first = start();
    let started = store.start(&TenantScope::root(), first.clone()).await;
    assert_eq!(started.expect("start"), StartOutcome::Created);
    only(
        store
            .claim(&SYSTEM, ME, &[key(&first)], &[])
            .await
            .expect("claim"),
    )
}

/// Asks until the answer is a yes; false after ten seconds.
async fn until(conn: &mut PgConnection, question: &'static str) -> bool {
    for _ in 0..1_000 {
        let answer: Option<bool> = sqlx::query_scalar(question)
            .fetch_one(&mut *conn)
            .await
            .expect(question);
        if answer == Some(true) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// Ends all connections while answers are still held back, so that none of those arrives; then lets new ones through.
async fn cut(proxy: &FaultProxy, admin: &mut PgConnection) {
    let newest: Option<String> = sqlx::query_scalar(
        "SELECT max(backend_start)::text FROM pg_stat_activity WHERE application_name = 'abstractgateway'",
    )
    .fetch_one(&mut *admin)
    .await
    .expect("backends");
    proxy.cut();
    for _ in 0..1_000 {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'abstractgateway' \
             AND backend_start <= $1::text::timestamptz",
        )
        .bind(&newest)
        .fetch_one(&mut *admin)
        .await
        .expect("backends");
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.set(Fault::Pass);
}

async fn records(store: &PostgresStore, run: &ClaimedRun) -> usize {
    let page = store.ledger(&TenantScope::root(), run.key.run, 0, 10_000).await;
    page.expect("read").expect("present").records().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_ends_inside_a_commit_has_written_nothing() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let options = PostgresOptions::new(server.url(&database).into());
    let store = PostgresStore::connect(options).await.expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let run = held(&store).await;

    let mut blocker = server.connect(&database).await;
    sqlx::raw_sql("BEGIN; SELECT FROM run_heads FOR UPDATE")
        .execute(&mut blocker)
        .await
        .expect("lock");
    let committing = tokio::spawn({
        let (store, commit) = (store.clone(), commit(ME, &run, Rest::Keep));
        async move { store.commit(&SYSTEM, commit).await }
    });
    let mut admin = server.connect(&database).await;
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '%commit_runs_v1%'";
    assert!(until(&mut admin, waits).await);
    let ended = "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%commit_runs_v1%'";
    assert!(until(&mut admin, ended).await);
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut blocker)
        .await
        .expect("unlock");
    let outcome = committing.await.expect("task").expect("commit");
    assert_eq!(outcome, CommitOutcome::Committed { mail_in: 0 });
    assert_eq!(records(&store, &run).await, 8);
    let stored = store.run(&TenantScope::root(), run.key.run).await.expect("run");
    assert_eq!(stored.expect("present").rev, 1);
}

/// The server has committed, and the network breaks before it can say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_asked_for_again() {
    let Some(server) = ScratchPostgres::start_tcp(Durability::None) else {
        return;
    };
    let database = server.database().await;
    migrate(&server.url(&database).into()).await.expect("schema");
    let port = server.port().expect("by TCP");
    let proxy = FaultProxy::start(port).await.expect("proxy");
    let url = server
        .url(&database)
        .replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let store = PostgresStore::connect(PostgresOptions::new(url.into()))
        .await
        .expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let mut run = held(&store).await;
    let mut admin = server.connect(&database).await;
    // The writers' connections exist, so that only answers are lost, not a connection's beginning.
    for _ in 0..2 {
        let written = store
            .commit(&SYSTEM, commit(ME, &run, Rest::Keep))
            .await
            .expect("commit");
        assert_eq!(written, CommitOutcome::Committed { mail_in: 0 });
        (run.rev, run.last_seq) = (run.rev + 1, run.last_seq + 8);
    }
    let command = |id: &str| NewCommand {
        command_id: id.to_owned(),
        run_id: run.key.run.to_string(),
        kind: "event".to_owned(),
        payload: "{}".to_owned(),
        client_id: None,
        ts: "2026-11-20T11:32:02Z".to_owned(),
        now: SystemClock.now(),
        targets: vec![CommandTarget {
            run: run.key.run,
            kind: MailKind::Event,
            body: "{}".into(),
        }],
        outcome: None,
    };
    let posted = store.post_command(&TenantScope::root(), command("first")).await;
    assert!(
        matches!(posted, Ok(PostOutcome::Accepted { seq: 1, .. })),
        "{posted:?}"
    );

    // A commit.
    proxy.set(Fault::HalfOpen(Direction::ToClient));
    let committing = tokio::spawn({
        let (store, commit) = (store.clone(), commit(ME, &run, Rest::Keep));
        async move { store.commit(&SYSTEM, commit).await }
    });
    assert!(until(&mut admin, "SELECT bool_or(rev = 3) FROM runs").await);
    cut(&proxy, &mut admin).await;
    let outcome = committing.await.expect("task").expect("commit");
    assert_eq!(outcome, CommitOutcome::Committed { mail_in: 1 });
    assert_eq!(records(&store, &run).await, 24);

    // A start. Before each cut the writer of that kind gets a connection: a new one could not begin without answers.
    store.start(&TenantScope::root(), start()).await.expect("start");
    let second = start();
    proxy.set(Fault::HalfOpen(Direction::ToClient));
    let starting = tokio::spawn({
        let (store, start) = (store.clone(), second.clone());
        async move { store.start(&TenantScope::root(), start).await }
    });
    assert!(until(&mut admin, "SELECT count(*) = 3 FROM runs").await);
    cut(&proxy, &mut admin).await;
    assert_eq!(
        starting.await.expect("task").expect("start"),
        StartOutcome::Created
    );
    let heads: i64 = sqlx::query_scalar("SELECT count(*) FROM run_heads")
        .fetch_one(&mut admin)
        .await
        .expect("heads");
    assert_eq!(heads, 3);

    // A command: the second call finds the first one's.
    store
        .post_command(&TenantScope::root(), command("second"))
        .await
        .expect("post");
    proxy.set(Fault::HalfOpen(Direction::ToClient));
    let posting = tokio::spawn({
        let (store, command) = (store.clone(), command("third"));
        async move { store.post_command(&TenantScope::root(), command).await }
    });
    assert!(until(&mut admin, "SELECT count(*) = 3 FROM commands").await);
    cut(&proxy, &mut admin).await;
    let posted = posting.await.expect("task").expect("post");
    assert!(matches!(posted, PostOutcome::Duplicate { seq: 3 }), "{posted:?}");
    let mail = store.read_mail(&SYSTEM, run.key, 0).await.expect("mail");
    assert_eq!(mail.iter().map(|mail| mail.n).collect::<Vec<_>>(), [1, 2, 3]);

    // A claim cannot be asked for again; its runs are given back.
    // The writer still has a connection that was cut.
    let nobody = RunKey {
        run: RunId(uuid::Uuid::now_v7()),
        plane: run.key.plane,
    };
    while store.claim(&SYSTEM, ME, &[nobody], &[]).await.is_err() {}
    proxy.set(Fault::HalfOpen(Direction::ToClient));
    let claiming = tokio::spawn({
        let (store, wanted) = (store.clone(), key(&second));
        async move { store.claim(&SYSTEM, ME, &[wanted], &[]).await }
    });
    assert!(until(&mut admin, "SELECT count(*) = 2 FROM run_heads WHERE owner = 7").await);
    cut(&proxy, &mut admin).await;
    let claimed = claiming.await.expect("task");
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))), "{claimed:?}");
    let free =
        "SELECT count(*) = 1 FROM run_heads WHERE owner IS NULL AND ready_at IS NOT NULL AND epoch = 2";
    assert!(until(&mut admin, free).await);
}

/// Backends end at any moment while runs commit: what was answered is what is stored, each commit once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_at_any_moment_write_nothing_twice() {
    const ROUNDS: i64 = 25;
    const ENDS: u64 = 30;
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let options = PostgresOptions::new(server.url(&database).into());
    let store = PostgresStore::connect(options).await.expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(held(&store).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn({
        let (done, mut admin) = (done.clone(), server.connect(&database).await);
        async move {
            let mut killed = 0;
            while !done.load(Ordering::Relaxed) && killed < ENDS {
                let ended = sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                     AND state = 'active' AND query LIKE 'SELECT o_ix%commit_runs_v1%'",
                );
                killed += ended.execute(&mut admin).await.expect("kill").rows_affected();
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
            killed
        }
    });
    let writers = runs.into_iter().map(|mut run| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                // As the engine does: the same call until the answer is certain.
                let write = commit(ME, &run, Rest::Keep);
                loop {
                    match store.commit(&SYSTEM, write.clone()).await {
                        Ok(outcome) => {
                            assert_eq!(outcome, CommitOutcome::Committed { mail_in: 0 });
                            break;
                        }
                        Err(StoreError::Ambiguous(_) | StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                (run.rev, run.last_seq) = (run.rev + 1, run.last_seq + 8);
            }
            run
        })
    });
    let mut ended = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        ended.push(writer.await.expect("writer"));
    }
    done.store(true, Ordering::Relaxed);
    assert!(killer.await.expect("killer") > 0, "no backend was caught at work");
    for run in ended {
        assert_eq!(i64::from(run.rev), ROUNDS);
        assert_eq!(
            records(&store, &run).await,
            8 * usize::try_from(ROUNDS).expect("small")
        );
    }
}

/// What cannot get a connection or a lock fails in bounded time; the pool never grows beyond its bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shortage_is_an_answer() {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut options = PostgresOptions::new(server.url(&database).into());
    options.max_connections = 6;
    options.acquire_timeout = Duration::from_millis(300);
    options.lock_timeout = Some(Duration::from_millis(600));
    let store = PostgresStore::connect(options).await.expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");
    let run = held(&store).await;
    let mut blocker = server.connect(&database).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE runs")
        .execute(&mut blocker)
        .await
        .expect("lock");
    let began = std::time::Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..30 {
        let (store, run, write) = (store.clone(), run.key.run, commit(ME, &run, Rest::Keep));
        calls.spawn(async move {
            if n == 0 {
                store.commit(&SYSTEM, write).await.map(|_| ())
            } else {
                store.run(&TenantScope::root(), run).await.map(|_| ())
            }
        });
    }
    let answers = calls.join_all().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))),
        "{answers:?}"
    );
    let open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND application_name = 'abstractgateway'",
    )
    .fetch_one(&mut blocker)
    .await
    .expect("connections");
    assert!(open <= 6, "{open} connections");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut blocker)
        .await
        .expect("unlock");
    let written = store
        .commit(&SYSTEM, commit(ME, &run, Rest::Keep))
        .await
        .expect("commit");
    assert_eq!(written, CommitOutcome::Committed { mail_in: 0 });
}
