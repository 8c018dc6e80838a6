//! Random valid sequences of operations give the same answers and the same observable state in the fake, in SQLite and
//! in Postgres (there as two processes: one that serves callers under row-level security, one that runs).
//!
//! A failure prints its seed; `AG_DIFFERENTIAL_SEED=<seed>` begins with it.

mod observe;
mod ops;
mod random;
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ag_store::{
    Store,
    fake::{FakeStore, MovableClock},
};
use ag_store_postgres::{PostgresOptions, PostgresStore, Role};
use ag_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use ag_testkit::ScratchPostgres;

use crate::security;
use world::{Backend, World};

/// Sequences at most, and the time for them.
const SEEDS: u64 = 24;
const TIME: Duration = Duration::from_secs(15);
/// Sequences that are always run, however slow the machine.
const AT_LEAST: u64 = 3;
const STEPS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_cannot_be_told_apart() {
    let Some((server, template)) = crate::migrated().await else {
        return;
    };
    {
        let mut admin = server.connect("postgres").await;
        security::users(&mut admin).await;
    }
    let began = Instant::now();
    let first = first_seed();
    for seed in first..first + SEEDS {
        if seed >= first + AT_LEAST && began.elapsed() > TIME {
            break;
        }
        let clock = Arc::new(MovableClock::default());
        let folder = tempfile::tempdir().expect("folder");
        let backends = vec![
            fake(&clock),
            sqlite(&clock, &folder).await,
            postgres(&clock, server, &template).await,
        ];
        let mut world = World::new(seed, clock, backends).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        world.compare_all().await;
    }
}

fn fake(clock: &Arc<MovableClock>) -> Backend {
    let store: Arc<dyn Store> = Arc::new(FakeStore::new(clock.clone()));
    Backend::new("fake", store.clone(), store)
}

async fn sqlite(clock: &Arc<MovableClock>, folder: &tempfile::TempDir) -> Backend {
    let mut options = SqliteOptions::new(folder.path());
    options.clock = clock.clone();
    options.synchronous = Synchronous::Normal;
    let store: Arc<dyn Store> = SqliteStore::open(options).await.expect("store");
    Backend::new("sqlite", store.clone(), store)
}

async fn postgres(clock: &Arc<MovableClock>, server: &ScratchPostgres, template: &str) -> Backend {
    let database = server.copy_of(template).await;
    let connect = async |user: &str, role| {
        let mut options = PostgresOptions::new(security::url_of(server, &database, user).into());
        options.clock = Some(clock.clone());
        let store = PostgresStore::connect(options).await.expect("store");
        store.check_role(role).expect("a fitting user");
        store as Arc<dyn Store>
    };
    Backend::new(
        "postgres",
        connect("api_user", Role::Api).await,
        connect("engine_user", Role::Engine).await,
    )
}

#[expect(clippy::disallowed_methods, reason = "a person repeats a failure with it")]
fn first_seed() -> u64 {
    let text = std::env::var("AG_DIFFERENTIAL_SEED").unwrap_or_default();
    text.parse().unwrap_or(1)
}
