//! The store: the pool, the writers, and the planes seen so far.

use std::{collections::HashMap, sync::Arc};

use ag_store::{Result, StoreError};
use ag_types::{Clock, PlaneId, PlaneKey, TenantScope};
use parking_lot::RwLock;
use sqlx::{PgPool, Postgres, pool::PoolConnection};

use crate::{
    connect::{LastLoss, OpenError, PostgresOptions, open},
    error::{Fate, fate, read_error, write_error},
    stamp::Stamp,
    writer::{Batcher, Claims, Commits, Posts, Starts},
};

/// What calls and writers share.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    clock: Option<Arc<dyn Clock>>,
    last_loss: Arc<LastLoss>,
}

impl Database {
    /// The time of a test; `None` means the time of the database.
    pub(crate) fn now(&self) -> Option<Stamp> {
        self.clock.as_ref().map(|clock| clock.now().into())
    }

    /// A connection for one statement or transaction.
    pub(crate) async fn conn(&self) -> Result<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(read_error)
    }

    /// What a failed read means.
    pub(crate) fn read_failed(&self, error: sqlx::Error) -> StoreError {
        self.note(&error);
        read_error(error)
    }

    /// What a failed write means.
    pub(crate) fn write_failed(&self, error: sqlx::Error) -> StoreError {
        self.note(&error);
        write_error(error)
    }

    /// A lost connection makes all others of its time suspect.
    fn note(&self, error: &sqlx::Error) {
        if fate(error) == Fate::Unknown {
            self.last_loss.note();
        }
    }
}

/// Planes by id and by names; they are never renamed or deleted.
#[derive(Debug, Default)]
pub(crate) struct KnownPlanes {
    by_id: HashMap<PlaneId, TenantScope>,
    by_key: HashMap<PlaneKey, PlaneId>,
}

impl KnownPlanes {
    pub(crate) fn insert(&mut self, scope: &TenantScope) {
        self.by_key.insert(scope.key.clone(), scope.plane);
        self.by_id.insert(scope.plane, scope.clone());
    }
    pub(crate) fn by_id(&self, plane: PlaneId) -> Option<TenantScope> {
        self.by_id.get(&plane).cloned()
    }
    pub(crate) fn by_key(&self, key: &PlaneKey) -> Option<TenantScope> {
        self.by_id(*self.by_key.get(key)?)
    }
}

/// A store in a Postgres database.
pub struct PostgresStore {
    pub(crate) database: Database,
    pub(crate) planes: RwLock<KnownPlanes>,
    pub(crate) starts: Batcher<Starts>,
    pub(crate) claims: Batcher<Claims>,
    pub(crate) commits: Batcher<Commits>,
    pub(crate) posts: Batcher<Posts>,
}

impl PostgresStore {
    /// Connects to a migrated database and starts the writers.
    ///
    /// # Errors
    /// [`OpenError::Empty`], [`OpenError::Older`], [`OpenError::Newer`] or [`OpenError::Changed`] when the schema is
    /// not this program's; else what the database says.
    pub async fn connect(options: PostgresOptions) -> Result<Arc<Self>, OpenError> {
        let last_loss = Arc::new(LastLoss::default());
        let pool = open(&options, last_loss.clone()).await?;
        let database = Database {
            pool,
            clock: options.clock,
            last_loss,
        };
        let mut planes = KnownPlanes::default();
        planes.insert(&TenantScope::root());
        Ok(Arc::new(Self {
            planes: RwLock::new(planes),
            starts: Batcher::spawn(database.clone()),
            claims: Batcher::spawn(database.clone()),
            commits: Batcher::spawn(database.clone()),
            posts: Batcher::spawn(database.clone()),
            database,
        }))
    }

    /// Closes all connections once their statements have ended. Later calls answer that the store is unavailable.
    pub async fn close(&self) {
        self.database.pool.close().await;
    }
}
