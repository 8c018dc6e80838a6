//! Row P8 of the fault matrix: who takes a number first commits first, so that no reader passes one over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ag_store::{
    CommandStore as _, CommandTarget, MailKind, NewCommand, PostOutcome, RunStore as _, StartOutcome,
};
use ag_store_postgres::{PostgresOptions, PostgresStore};
use ag_types::{Clock as _, RunId, SystemClock, TenantScope};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::build::start;

/// Transactions that keep the numbers they have taken to themselves for a while.
const SLOW: usize = 5;
const HELD: Duration = Duration::from_millis(150);
/// Others, which do not wait by themselves.
const FAST: usize = 40;

fn command(id: String, run: RunId) -> NewCommand {
    NewCommand {
        command_id: id,
        run_id: run.to_string(),
        kind: "event".to_owned(),
        payload: "{}".to_owned(),
        client_id: None,
        ts: "2026-11-20T11:32:02Z".to_owned(),
        now: SystemClock.now(),
        targets: vec![CommandTarget {
            run,
            kind: MailKind::Event,
            body: "{}".into(),
        }],
        outcome: None,
    }
}

/// The call of the adapter, in a transaction that is open for longer.
async fn post_slowly(conn: &mut PgConnection, id: usize, run: RunId) {
    let post = format!(
        "BEGIN; SELECT o_seq FROM post_commands_v1(NULL, {plane}, ARRAY['slow-{id}'], ARRAY['{run}'], ARRAY['event'], \
         ARRAY['{{}}'], ARRAY[NULL]::text[], ARRAY['2026-11-20T11:32:02Z'], ARRAY[clock_timestamp()], \
         ARRAY[NULL]::text[], ARRAY[1], ARRAY['{run}']::uuid[], ARRAY['event'], ARRAY['{{}}']); \
         SELECT pg_sleep({held}); COMMIT",
        plane = TenantScope::root().plane.0,
        held = HELD.as_secs_f64(),
    );
    // Safe: made of numbers and a run's id.
    sqlx::raw_sql(AssertSqlSafe(post))
        .execute(conn)
        .await
        .expect("a slow post");
}

/// Numbers that a reader sees, which must have no gap at any time.
async fn seen(conn: &mut PgConnection, query: &'static str) -> Vec<i64> {
    sqlx::query_scalar(query).fetch_all(conn).await.expect("numbers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    reason = "rows of the fault matrix are read from standard output"
)]
async fn numbers_become_visible_in_order() {
    let began = Instant::now();
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let options = PostgresOptions::new(server.url(&database).into());
    let store = PostgresStore::connect(options).await.expect("store");
    let first = start();
    let run = first.runs[0].head.run_id;
    let started = store.start(&TenantScope::root(), first).await.expect("start");
    assert_eq!(started, StartOutcome::Created);

    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (done, mut conn) = (done.clone(), server.connect(&database).await);
        async move {
            let (mut polls, mut skipped) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                for query in [
                    "SELECT seq FROM commands ORDER BY seq",
                    "SELECT n FROM mail ORDER BY n",
                ] {
                    let numbers = seen(&mut conn, query).await;
                    skipped += (1..).zip(&numbers).filter(|(wanted, n)| wanted != *n).count();
                    polls += 1;
                }
            }
            (polls, skipped)
        }
    });
    let slow = tokio::spawn({
        let mut conn = server.connect(&database).await;
        async move {
            for id in 0..SLOW {
                post_slowly(&mut conn, id, run).await;
            }
        }
    });
    for n in 0..FAST {
        let posted = store
            .post_command(&TenantScope::root(), command(format!("fast-{n}"), run))
            .await;
        assert!(matches!(posted, Ok(PostOutcome::Accepted { .. })), "{posted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slow.await.expect("the slow writer");
    done.store(true, Ordering::Relaxed);
    let (polls, skipped) = reader.await.expect("the reader");
    let mut conn = server.connect(&database).await;
    let last = seen(&mut conn, "SELECT max(seq) FROM commands").await;
    println!(
        "{{\"row\":\"P8\",\"mode\":\"store\",\"duration_s\":{:.1},\"faults\":{SLOW},\"violations\":{{\"I4\":{skipped}}},\
         \"figures\":{{\"numbers\":{},\"polls\":{polls},\"rows_skipped_by_readers\":{skipped}}},\
         \"bars\":{{\"rows_skipped_by_readers\":0}},\"pass\":{}}}",
        began.elapsed().as_secs_f64(),
        SLOW + FAST,
        skipped == 0
    );
    assert_eq!(last, [i64::try_from(SLOW + FAST).expect("small")]);
    assert_eq!(skipped, 0, "a reader saw a number before the one below it");
    assert!(polls > 10, "the reader has hardly looked");
}
