//! Closed loop of starts, claims and commits with 1 and with 64 callers; prints a JSON line for each, with the processor
//! time of the server where it started that itself. Needs an installed Postgres, or the URL of an empty
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
use ag_testkit::{Durability, ScratchPostgres};
use ag_types::{SessionId, TenantScope};
use build::{SYSTEM, commit, key, only, session, start};
use tokio::task::JoinSet;

const CALLERS: [usize; 2] = [1, 64];

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
            let scratch =
                server.insert(ScratchPostgres::start(Durability::PowerLoss).expect("an installed Postgres"));
            let database = scratch.database().await;
            scratch.url(&database)
        }
    };
    migrate(&url.clone().into()).await.expect("schema");
    let store = PostgresStore::connect(PostgresOptions::new(url.into()))
        .await
        .expect("store");
    store.open_session(&SYSTEM, session(7)).await.expect("session");

    for callers in CALLERS {
        let before = server_cpu(server.as_ref());
        let (runs, took) = measure(&store, callers, Duration::from_secs(seconds)).await;
        let cpu = server_cpu(server.as_ref())
            .zip(before)
            .map(|(after, before)| after - before);
        let cpu = cpu.map_or_else(String::new, |cpu| {
            format!(",\"server_cpu_ms_per_run\":{:.3}", cpu * 1e3 / runs)
        });
        println!(
            "{{\"bench\":\"postgres_write\",\"callers\":{callers},\"seconds\":{took:.2},\"runs\":{runs},\"runs_per_s\":{:.0}{cpu}}}",
            runs / took
        );
    }
    store.close().await;
    drop(server);
}

/// Runs and seconds of a closed loop.
async fn measure(store: &Arc<PostgresStore>, callers: usize, span: Duration) -> (f64, f64) {
    let runs = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let end = began + span;
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, runs) = (store.clone(), runs.clone());
        tasks.spawn(async move {
            while Instant::now() < end {
                one(&store).await;
                runs.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.join_all().await;
    (runs.load(Ordering::Relaxed) as f64, began.elapsed().as_secs_f64())
}

/// Seconds of processor time of a server and its processes so far, on Linux.
fn server_cpu(server: Option<&ScratchPostgres>) -> Option<f64> {
    let postmaster = server?.pid()?;
    let mut ticks = 0.0;
    for process in std::fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else {
            continue;
        };
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        if fields.get(1)?.parse() == Ok(postmaster) {
            ticks += fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        }
    }
    // Linux counts hundredths of a second.
    Some(ticks / 100.0)
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
