//! The system of record and its doorbells: SQLite and channels in one process, or Postgres, NATS and Redis.

use std::sync::Arc;

use ag_config::{Config, DbSync, StoreBackend};
use ag_messaging::{
    Bell, RunFeed,
    local::{LocalBell, LocalFeed},
    nats::{NatsBell, NatsOptions},
    redis::{RedisFeed, RedisLink, RedisOptions},
};
use ag_store::Store;
use ag_store_postgres::{PostgresOptions, PostgresStore};
use ag_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

/// Store, bell and feed of this process.
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bell: Arc<dyn Bell>,
    pub(crate) feed: Arc<dyn RunFeed>,
    /// A runner in the same process may take started runs over in memory.
    pub(crate) embedded: bool,
    close: Close,
}

enum Close {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Backend {
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
        bell: Arc::new(LocalBell::default()),
        feed: Arc::new(LocalFeed::default()),
        embedded: true,
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
            Arc::new(LocalBell::default())
        }
    };
    let feed: Arc<dyn RunFeed> = match &config.messaging.redis_url {
        Some(url) => {
            let link = RedisLink::open(&RedisOptions {
                url: url.expose_secret().to_owned(),
            })
            .context("cannot set up Redis")?;
            Arc::new(RedisFeed::new(&link))
        }
        None => {
            tracing::warn!(
                "no ABSTRACTGATEWAY_REDIS_URL: streams of other processes' runs are read from the database"
            );
            Arc::new(LocalFeed::default())
        }
    };
    Ok(Backend {
        store: store.clone(),
        bell,
        feed,
        embedded: false,
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
