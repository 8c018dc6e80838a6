//! The system of record and its doorbells: SQLite and channels in one process, or Postgres, NATS and Redis.

use std::sync::Arc;

use ag_config::{Config, DbSync, StoreBackend};
use ag_messaging::{
    Bell, LocalCounters, RunFeed, SharedCounters,
    local::{LocalBell, LocalFeed},
    nats::{NatsBell, NatsOptions},
    redis::{RedisCounters, RedisFeed, RedisLink, RedisOptions},
};
use ag_store::{ImportStore, Store};
use ag_store_postgres::{PostgresOptions, PostgresStore, Role};
use ag_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use ag_types::Clock;
use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock;

/// Store, bell and feed of this process.
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn Store>,
    /// Bulk writes of the same store.
    pub(crate) imports: Arc<dyn ImportStore>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) feed: Arc<dyn RunFeed>,
    /// Counters that limit; shared by the nodes of a cluster.
    pub(crate) counters: Arc<dyn SharedCounters>,
    /// A runner in the same process may take started runs over in memory.
    pub(crate) embedded: bool,
    /// Time as the system of record has it.
    pub(crate) clock: Arc<dyn Clock>,
    close: Close,
}

enum Close {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Backend {
    /// Refuses a database user who cannot do the work of this process.
    pub(crate) fn check_role(&self, role: Role) -> anyhow::Result<()> {
        match &self.close {
            Close::Sqlite(_) => Ok(()),
            Close::Postgres(store) => store.check_role(role).context("the database user does not fit"),
        }
    }

    /// Closes the store in good order.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        match &self.close {
            Close::Sqlite(store) => store.close().await.context("the store did not close cleanly"),
            Close::Postgres(store) => {
                store.close().await;
                Ok(())
            }
        }
    }
}

/// Opens what the configuration names.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Backend> {
    match config.store_backend() {
        StoreBackend::Sqlite => sqlite(config).await,
        StoreBackend::Postgres => cluster(config).await,
    }
}

async fn sqlite(config: &Config) -> anyhow::Result<Backend> {
    let file = config.data.dir.join("gateway.sqlite3");
    if ag_importer::reference::is_database(&file) {
        bail!(
            "{0} is a database of the Python gateway; import it into a data directory of its own with \
             `abstractgateway migrate --from sqlite {0} --data-dir NEW_DIR --apply`, then use that directory",
            file.display()
        );
    }
    let mut options = SqliteOptions::new(&config.data.dir);
    options.synchronous = match config.store.db_sync {
        DbSync::Full => Synchronous::Full,
        DbSync::Normal => Synchronous::Normal,
    };
    let store = SqliteStore::open(options)
        .await
        .with_context(|| format!("cannot open the store in {}", config.data.dir.display()))?;
    Ok(Backend {
        store: store.clone(),
        imports: store.clone(),
        bell: Arc::new(LocalBell::default()),
        feed: Arc::new(LocalFeed::default()),
        counters: Arc::new(LocalCounters::default()),
        embedded: true,
        clock: clock::machine(),
        close: Close::Sqlite(store),
    })
}

async fn cluster(config: &Config) -> anyhow::Result<Backend> {
    let url = database_url(config)?;
    let store = PostgresStore::connect(PostgresOptions::new(url))
        .await
        .context("cannot open the database")?;
    let bell: Arc<dyn Bell> = match &config.messaging.nats_url {
        Some(url) => {
            let options = NatsOptions::new(url.expose_secret());
            Arc::new(NatsBell::connect(options).await.context("cannot set up NATS")?)
        }
        None => {
            tracing::warn!(
                "no ABSTRACTGATEWAY_NATS_URL: runners of other processes find work by looking for it"
            );
            Arc::new(LocalBell::partial())
        }
    };
    let (feed, counters): (Arc<dyn RunFeed>, Arc<dyn SharedCounters>) = match &config.messaging.redis_url {
        Some(url) => {
            let link = RedisLink::open(&RedisOptions {
                url: url.expose_secret().to_owned(),
            })
            .context("cannot set up Redis")?;
            (
                Arc::new(RedisFeed::new(&link)),
                Arc::new(RedisCounters::new(&link)),
            )
        }
        None => {
            tracing::warn!(
                "no ABSTRACTGATEWAY_REDIS_URL: streams of other processes' runs are read from the database, and limits \
                 hold per process"
            );
            (Arc::new(LocalFeed::partial()), Arc::new(LocalCounters::default()))
        }
    };
    let clock = clock::steered(&store)
        .await
        .context("the database does not tell the time")?;
    Ok(Backend {
        store: store.clone(),
        imports: store.clone(),
        bell,
        feed,
        counters,
        embedded: false,
        clock,
        close: Close::Postgres(store),
    })
}

/// The configured database.
pub(crate) fn database_url(config: &Config) -> anyhow::Result<SecretString> {
    config
        .store
        .database_url
        .clone()
        .context("ABSTRACTGATEWAY_DATABASE_URL is not set")
}
