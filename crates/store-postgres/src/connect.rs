//! Options, and why a database is refused.

use std::{fmt, str::FromStr as _, sync::Arc, time::Duration};

use ag_store::StoreError;
use ag_types::Clock;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    connections::{Connections, LastLoss},
    error::read_error,
    migrate::{self, check_schema},
};

/// Prepared statements per connection.
const STATEMENTS: usize = 128;

/// Whether the user sees one plane at a time.
const BOUND: &str = "SELECT row_security_active('runs') AND NOT EXISTS (SELECT FROM pg_roles \
     WHERE rolname = 'abstractgateway_engine' AND pg_has_role(oid, 'usage'))";

/// Where and how to connect.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host/database?sslmode=…`. With `statement-cache-capacity=0` no statement is prepared
    /// under a name: for poolers in transaction mode that do not keep track of those (PgBouncer before 1.21, or with
    /// `max_prepared_statements = 0`). Each statement then costs a transaction of several round trips.
    pub url: SecretString,
    /// Connections at most; four of them belong to the writers (starts, claims, commits, commands) once they have written.
    pub max_connections: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
    /// Longest statement, sent when a connection starts; `None` leaves it to the database, which the migration set
    /// to 10 s. Poolers refuse or ignore such start parameters.
    pub statement_timeout: Option<Duration>,
    /// Longest wait for a lock; `None` leaves it to the database (2 s).
    pub lock_timeout: Option<Duration>,
    /// For tests: replaces the time of the database in lease arithmetic. `None` in production, where skewed clocks
    /// of processes must not decide about leases.
    pub clock: Option<Arc<dyn Clock>>,
}

impl PostgresOptions {
    /// Twelve connections, ten seconds to get one, timeouts as the database has them.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 12,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: None,
            lock_timeout: None,
            clock: None,
        }
    }
}

/// What a process does with the store, and so what its database user should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Claims and commits runs of all planes: a member of `abstractgateway_engine`, or the owner of the tables.
    Engine,
    /// Serves callers: should be a member of `abstractgateway_api`, whom row-level security binds to one plane per
    /// statement. Anybody else is warned about.
    Api,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("max_connections", &self.max_connections)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a connection string; its text may hold a password and is not repeated.
    #[error("the database URL is not a Postgres connection string")]
    Url,
    /// The database holds no schema of ours.
    #[error("the database is empty: run `abstractgateway migrate`")]
    Empty,
    /// The database was not migrated to this program's schema.
    #[error(
        "the database has schema version {found}, this program needs {needed}: run `abstractgateway migrate`"
    )]
    Older {
        /// Version found.
        found: i32,
        /// Version of this program.
        needed: i32,
    },
    /// The database belongs to a newer program.
    #[error(
        "the database has schema version {found}, newer than {needed}, the newest known here: use a newer program \
         (`abstractgateway migrate` of the old one cannot help)"
    )]
    Newer {
        /// Version found.
        found: i32,
        /// Version of this program.
        needed: i32,
    },
    /// A process that works for all planes connects as a user who sees one at a time.
    #[error(
        "row-level security binds the database user, so this process would see no runs: connect as a member of the \
         role abstractgateway_engine, or as the owner of the tables"
    )]
    Bound,
    /// A migration was applied with another text than this program's.
    #[error(
        "migration {version} of the database differs from this program's: it was changed after it ran; \
         `abstractgateway migrate` refuses it as well"
    )]
    Changed {
        /// Version of the migration.
        version: i32,
    },
    /// The database refused or cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) fn connect_options(url: &SecretString) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| OpenError::Url)?;
    Ok(options
        .application_name("abstractgateway")
        // A start parameter that poolers do not know.
        .extra_float_digits(None)
        .disable_statement_logging())
}

/// A database whose schema is this program's.
pub(crate) struct Opened {
    pub(crate) connections: Connections,
    /// Whether statements may be prepared under names that outlive a transaction.
    pub(crate) prepares: bool,
    /// Whether row-level security shows the user one plane at a time.
    pub(crate) bound: bool,
}

pub(crate) async fn open(options: &PostgresOptions) -> Result<Opened, OpenError> {
    let last_loss = Arc::new(LastLoss::default());
    let mut connect = connect_options(&options.url)?;
    let prepares = prepares(&connect);
    connect = connect.statement_cache_capacity(if prepares { STATEMENTS } else { 0 });
    for (name, limit) in [
        ("statement_timeout", options.statement_timeout),
        ("lock_timeout", options.lock_timeout),
    ] {
        if let Some(limit) = limit {
            connect = connect.options([(name, limit.as_millis().to_string())]);
        }
    }
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections.max(6))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire({
            let last_loss = last_loss.clone();
            move |conn, meta| {
                let trusted = last_loss.trusts(meta.idle_for);
                Box::pin(async move {
                    if !trusted {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            }
        })
        .connect_with(connect)
        .await
        .map_err(read_error)?;
    let connections = Connections::new(pool, last_loss);
    let mut conn = connections.lend().await?;
    check_schema(&mut conn).await?;
    let bound = migrate::ask(&mut conn, BOUND).await?;
    conn.rest();
    Ok(Opened {
        connections,
        prepares,
        bound,
    })
}

/// Whether the address allows prepared statements; the driver does not tell otherwise.
fn prepares(options: &PgConnectOptions) -> bool {
    let url = options.to_url_lossy();
    !url.query_pairs()
        .any(|(name, value)| name == "statement-cache-capacity" && value == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_of_nothing_turns_preparing_off() {
        for (query, expected) in [
            ("", true),
            ("?sslmode=disable", true),
            ("?statement-cache-capacity=10", true),
            ("?statement-cache-capacity=0&sslmode=disable", false),
        ] {
            let options = connect_options(&format!("postgres://u:p@h/d{query}").into()).expect("address");
            assert_eq!(prepares(&options), expected, "{query}");
        }
    }
}
