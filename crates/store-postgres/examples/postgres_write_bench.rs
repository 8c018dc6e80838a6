//! Closed loop of starts, claims and commits; prints one JSON line. Needs an installed Postgres, or the URL of an empty
//! or migrated database as first argument; the second argument is the number of seconds.

#[path = "../tests/postgres/build.rs"]
mod build;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ag_store::{CommitOutcome, Rest, RunStore as _, StartOutcome};
use ag_store_postgres::{PostgresOptions, PostgresStore, migrate};
use ag_testkit::ScratchPostgres;
use ag_types::{SessionId, TenantScope};
use build::{SYSTEM, commit, key, only, session, start};
use tokio::task::JoinSet;

const CALLERS: usize = 64;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of the program")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().filter(|url| url != "-");
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(4);
    let mut server = None;
    let url = match url {
        Some(url) => url,
        None => {
            let scratch = server.insert(ScratchPostgres::start(true).expect("an installed Postgres"));
            let database = scratch.database().await;
            scratch.url(&database)
        }
    };
    migrate(&url.clone().into()).await.expect("schema");
    let store = PostgresStore::connect(PostgresOptions::new(url.into()))
        .await
        .expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");

    let runs = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, runs) = (store.clone(), runs.clone());
        callers.spawn(async move {
            while Instant::now() < end {
                one(&store).await;
                runs.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    callers.join_all().await;
    let took = began.elapsed().as_secs_f64();
    let runs = runs.load(Ordering::Relaxed);
    store.close().await;
    println!(
        "{{\"bench\":\"postgres_write\",\"callers\":{CALLERS},\"seconds\":{took:.2},\"runs\":{runs},\"runs_per_s\":{:.0}}}",
        runs as f64 / took
    );
    drop(server);
}

/// Start, claim, terminal commit.
async fn one(store: &PostgresStore) {
    let start = start();
    let key = key(&start);
    let started = store.start(&TenantScope::root(), start).await.expect("start");
    assert_eq!(started, StartOutcome::Created);
    let me = SessionId(7);
    let run = only(store.claim(&SYSTEM, me, &[key], &[]).await.expect("claim"));
    let written = store
        .commit(&SYSTEM, commit(me, &run, Rest::Terminal))
        .await
        .expect("commit");
    assert_eq!(written, CommitOutcome::Committed { mail_in: 0 });
}
