//! The time of a cluster's processes: their machine's, corrected towards the database's.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use ag_store::Result;
use ag_store_postgres::PostgresStore;
use ag_types::{Clock, SteeredClock, SystemClock, Timestamp};

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(5);

/// The machine's clock; a failpoint may say that it is off.
pub(crate) fn machine() -> Arc<dyn Clock> {
    match ag_failpoints::skew_micros() {
        0 => Arc::new(SystemClock),
        off => Arc::new(Off(off)),
    }
}

/// A clock that is wrong by so many microseconds.
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_micros(self.0)
    }
}

/// A clock that has been set once and follows as long as it is in use.
pub(crate) async fn steered(store: &Arc<PostgresStore>) -> Result<Arc<dyn Clock>> {
    let clock = Arc::new(SteeredClock::new(machine()));
    ask(store, &clock).await?;
    tokio::spawn(follow(Arc::downgrade(store), Arc::downgrade(&clock)));
    Ok(clock)
}

async fn follow(store: Weak<PostgresStore>, clock: Weak<SteeredClock>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (Some(store), Some(clock)) = (store.upgrade(), clock.upgrade()) else {
            return;
        };
        // A database that is away has other witnesses; the correction stays as it is.
        let _ = ask(&store, &clock).await;
    }
}

async fn ask(store: &PostgresStore, clock: &SteeredClock) -> Result<()> {
    let sent = clock.machine();
    let truth = store.server_time().await?;
    if let Some(correction) = clock.learn(sent, truth, clock.machine()) {
        tracing::warn!(
            correction_ms = correction / 1_000,
            "this machine's clock is off; going by the database's"
        );
    }
    Ok(())
}
