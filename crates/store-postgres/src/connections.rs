//! The connections of a process. Those that come back whole are kept in hand for the next statement. The driver's pool
//! asks a connection that is given back whether it still answers, which is a round trip and a task for each statement.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use ag_store::Result;
use parking_lot::Mutex;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::read_error;

/// A connection that rested longer than this is tried before it is used: the server may have restarted.
const TRUSTED_IDLE: Duration = Duration::from_millis(500);
/// Time for the answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The pool is asked for another one then; as long as it lets its own live.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// When a connection was lost last: those that have rested since then are tried before they are used.
#[derive(Debug, Default)]
pub(crate) struct LastLoss(Mutex<Option<Instant>>);

impl LastLoss {
    pub(crate) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    pub(crate) fn trusts(&self, idle_for: Duration) -> bool {
        let since = self.0.lock().map(|lost| lost.elapsed());
        idle_for <= TRUSTED_IDLE && since.is_none_or(|since| idle_for < since)
    }
}

/// A connection and its times.
struct Resting {
    conn: PoolConnection<Postgres>,
    born: Instant,
    since: Instant,
}

/// Lends connections, to as many at a time as the process may have.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    pool: PgPool,
    places: Arc<Semaphore>,
    patience: Duration,
    last_loss: Arc<LastLoss>,
    /// Together with those that are lent they are never more than there are places: a new one is opened only when none
    /// rests here.
    resting: Mutex<Vec<Resting>>,
}

impl Connections {
    pub(crate) fn new(pool: PgPool, last_loss: Arc<LastLoss>) -> Self {
        let options = pool.options();
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(options.get_max_connections() as usize)),
            patience: options.get_acquire_timeout(),
            resting: Mutex::default(),
            last_loss,
            pool,
        }))
    }

    /// A connection for one statement or transaction.
    ///
    /// # Errors
    /// [`ag_store::StoreError::Unavailable`] if none comes free in time or the database does not let us in.
    pub(crate) async fn lend(&self) -> Result<Lent> {
        let place = tokio::time::timeout(self.0.patience, self.0.places.clone().acquire_owned()).await;
        let place = match place {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(read_error(sqlx::Error::PoolClosed)),
            Err(_) => return Err(read_error(sqlx::Error::PoolTimedOut)),
        };
        let (conn, born) = match self.rested().await {
            Some(rested) => (rested.conn, rested.born),
            None => (self.0.pool.acquire().await.map_err(read_error)?, Instant::now()),
        };
        Ok(Lent {
            conn,
            born,
            home: self.clone(),
            place,
        })
    }

    /// The one that came back last, if it still answers. An old one goes to the pool and is replaced there.
    async fn rested(&self) -> Option<Resting> {
        let mut resting = self.0.resting.lock().pop()?;
        if resting.born.elapsed() >= LIFETIME {
            return None;
        }
        if self.0.last_loss.trusts(resting.since.elapsed()) {
            return Some(resting);
        }
        match tokio::time::timeout(ANSWER, resting.conn.ping()).await {
            Ok(Ok(())) => Some(resting),
            Ok(Err(_)) | Err(_) => {
                drop(resting.conn.detach());
                self.note_loss();
                None
            }
        }
    }

    /// A lost connection makes all others of its time suspect.
    pub(crate) fn note_loss(&self) {
        self.0.last_loss.note();
    }

    /// Fires when the connections are closed.
    pub(crate) fn closing(&self) -> sqlx::pool::CloseEvent {
        self.0.pool.close_event()
    }

    /// Closes all connections once their statements have ended.
    pub(crate) async fn close(&self) {
        let closing = self.0.pool.close();
        // From here on none comes to rest any more.
        drop(std::mem::take(&mut *self.0.resting.lock()));
        closing.await;
    }
}

/// A connection that is in use. Dropped, it goes to the driver's pool, which finds out what state it is in.
pub(crate) struct Lent {
    conn: PoolConnection<Postgres>,
    born: Instant,
    home: Connections,
    /// Free again after the connection has gone.
    place: OwnedSemaphorePermit,
}

impl Lent {
    /// Gives it back after a statement that was read to its end, outside of transactions.
    pub(crate) fn rest(self) {
        let Self {
            conn,
            born,
            home,
            place,
        } = self;
        let mut resting = home.0.resting.lock();
        if !home.0.pool.is_closed() {
            let since = Instant::now();
            resting.push(Resting { conn, born, since });
        }
        drop((resting, place));
    }

    /// Cuts it: a statement may still run on it.
    pub(crate) fn cut(self) {
        drop(self.conn.detach());
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}
