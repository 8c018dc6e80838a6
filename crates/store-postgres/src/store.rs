//! The store: its connections, the writers, and the planes seen so far.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ag_store::{Result, StoreError};
use ag_types::{Clock, PlaneId, PlaneKey, TenantScope, Timestamp};
use futures::TryStreamExt as _;
use parking_lot::RwLock;
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, PgConnection, Postgres, Row as _, Transaction,
    postgres::PgRow,
};

use crate::{
    arrays::Statement,
    connect::{OpenError, Opened, PostgresOptions, Role, open},
    connections::{Connections, Lent},
    error::{Fate, fate, read_error, write_error},
    reader::Pages,
    stamp::Stamp,
    writer::{Batcher, Claims, Commits, Posts, Starts},
};

/// A server that has not answered a read by then is taken for lost; above the statement timeout that a migration sets.
const READ_DEADLINE: Duration = Duration::from_secs(15);

/// What calls and writers share.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) connections: Connections,
    prepares: bool,
    clock: Option<Arc<dyn Clock>>,
}

impl Database {
    /// The time of a test; `None` means the time of the database.
    pub(crate) fn now(&self) -> Option<Stamp> {
        self.clock.as_ref().map(|clock| clock.now().into())
    }

    /// A connection for one statement or transaction.
    pub(crate) async fn conn(&self) -> Result<Lent> {
        self.connections.lend().await
    }

    /// Rows of a statement that only reads.
    pub(crate) async fn read(&self, query: Statement<'_>) -> Result<Vec<PgRow>> {
        let mut conn = self.conn().await?;
        match tokio::time::timeout(READ_DEADLINE, self.execute(&mut conn, None, query)).await {
            Ok(Ok(done)) => {
                conn.rest();
                Ok(done.rows)
            }
            Ok(Err(error)) => Err(self.read_failed(error)),
            Err(_) => {
                // Whatever the statement waits for, its connection is of no use.
                conn.cut();
                self.connections.note_loss();
                Err(StoreError::Unavailable(
                    "the database did not answer in time".to_owned(),
                ))
            }
        }
    }

    /// Writes with one statement that names its planes; for the engine only.
    pub(crate) async fn write(&self, query: Statement<'_>) -> Result<Done> {
        let done = self.once(None, query).await?;
        done.map_err(|error| self.write_failed(error))
    }

    /// Writes rows of one plane with one statement, in a transaction that sets the plane first: in which order a
    /// statement that did so itself would look at its policies is the planner's choice.
    pub(crate) async fn write_in(&self, scope: &TenantScope, query: Statement<'_>) -> Result<Done> {
        let done = self.once(Some(scope.plane), query).await?;
        done.map_err(|error| self.write_failed(error))
    }

    async fn once(&self, plane: Option<PlaneId>, query: Statement<'_>) -> Result<sqlx::Result<Done>> {
        let mut conn = self.conn().await?;
        let done = self.execute(&mut conn, plane, query).await;
        if done.is_ok() {
            conn.rest();
        }
        Ok(done)
    }

    /// Several such statements in one transaction.
    pub(crate) async fn write_all_in(
        &self,
        scope: &TenantScope,
        queries: Vec<Statement<'_>>,
    ) -> Result<Vec<Done>> {
        let mut conn = self.conn().await?;
        let writing = async {
            let mut tx = begin(&mut conn, Some(scope.plane)).await?;
            let mut done = Vec::with_capacity(queries.len());
            for query in queries {
                done.push(Done::of(&mut tx, query.persistent(self.prepares)).await?);
            }
            tx.commit().await?;
            Ok(done)
        };
        let done = writing.await.map_err(|error| self.write_failed(error))?;
        conn.rest();
        Ok(done)
    }

    /// One statement in one transaction. Nothing is left on the server but prepared statements, and those only where
    /// the address allows them: without, a transaction keeps a pooler from changing servers between the messages of
    /// a statement.
    pub(crate) async fn execute(
        &self,
        conn: &mut PgConnection,
        plane: Option<PlaneId>,
        query: Statement<'_>,
    ) -> sqlx::Result<Done> {
        if self.prepares && plane.is_none() {
            return Done::of(conn, query).await;
        }
        let mut tx = begin(conn, plane).await?;
        let done = Done::of(&mut tx, query.persistent(self.prepares)).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// A statement of a transaction, prepared under a name only where the address allows that.
    pub(crate) fn in_transaction<'q>(&self, query: Statement<'q>) -> Statement<'q> {
        query.persistent(self.prepares)
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
            self.connections.note_loss();
        }
    }
}

/// A transaction, on rows of one plane where one is given.
async fn begin(conn: &mut PgConnection, plane: Option<PlaneId>) -> sqlx::Result<Transaction<'_, Postgres>> {
    let Some(PlaneId(plane)) = plane else {
        return conn.begin().await;
    };
    // Safe: a number.
    let begin = AssertSqlSafe(format!("BEGIN; SELECT set_config('gw.plane', '{plane}', true)"));
    conn.begin_with(begin).await
}

/// What a statement did.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) rows: Vec<PgRow>,
    pub(crate) affected: u64,
}

impl Done {
    pub(crate) async fn of(conn: &mut PgConnection, query: Statement<'_>) -> sqlx::Result<Self> {
        let mut done = Self::default();
        let mut steps = conn.fetch_many(query);
        while let Some(step) = steps.try_next().await? {
            match step {
                Either::Left(result) => done.affected += result.rows_affected(),
                Either::Right(row) => done.rows.push(row),
            }
        }
        drop(steps);
        Ok(done)
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
    bound: bool,
    pub(crate) database: Database,
    pub(crate) planes: RwLock<KnownPlanes>,
    pub(crate) starts: Batcher<Starts>,
    pub(crate) claims: Batcher<Claims>,
    pub(crate) commits: Batcher<Commits>,
    pub(crate) posts: Batcher<Posts>,
    pub(crate) pages: Pages,
}

impl PostgresStore {
    /// Connects to a migrated database and starts the writers.
    ///
    /// # Errors
    /// [`OpenError::Empty`], [`OpenError::Older`], [`OpenError::Newer`] or [`OpenError::Changed`] when the schema is
    /// not this program's; else what the database says.
    pub async fn connect(options: PostgresOptions) -> Result<Arc<Self>, OpenError> {
        let Opened {
            connections,
            prepares,
            bound,
        } = open(&options).await?;
        let database = Database {
            connections,
            prepares,
            clock: options.clock,
        };
        let mut planes = KnownPlanes::default();
        planes.insert(&TenantScope::root());
        Ok(Arc::new(Self {
            bound,
            planes: RwLock::new(planes),
            starts: Batcher::spawn(database.clone()),
            claims: Batcher::spawn(database.clone()),
            commits: Batcher::spawn(database.clone()),
            posts: Batcher::spawn(database.clone()),
            pages: Pages::spawn(&database),
            database,
        }))
    }

    /// Looks whether the database user suits the process; warns where one that serves callers is not bound by
    /// row-level security.
    ///
    /// # Errors
    /// [`OpenError::Bound`] where an engine is.
    pub fn check_role(&self, role: Role) -> Result<(), OpenError> {
        match (role, self.bound) {
            (Role::Engine, true) => return Err(OpenError::Bound),
            (Role::Api, false) => tracing::warn!(
                "row-level security does not bind the database user: to have it as a second net under the tenants, \
                 connect as a member of the role abstractgateway_api"
            ),
            _ => {}
        }
        Ok(())
    }

    /// Closes all connections once their statements have ended. Later calls answer that the store is unavailable.
    pub async fn close(&self) {
        self.database.connections.close().await;
    }

    /// The database's time, by which leases and timers go.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn server_time(&self) -> Result<Timestamp> {
        let rows = self
            .database
            .read(sqlx::query("SELECT clock_timestamp()"))
            .await?;
        let row = rows.first().ok_or(StoreError::Corrupt {
            what: "time",
            detail: "no row".to_owned(),
        })?;
        let Stamp(now) = row.try_get(0).map_err(|error| self.database.read_failed(error))?;
        Ok(now)
    }
}
