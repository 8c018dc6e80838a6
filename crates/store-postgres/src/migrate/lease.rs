//! One migration at a time: a lease in a row, because a lock of the session would not survive a pooler in transaction
//! mode, nor end with a migration that died behind one.

use std::time::Duration;

use ag_store::StoreError;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::steps;
use crate::{connect::OpenError, error::write_error};

/// Held this long after the last step; a step in progress keeps the row locked, however long it takes.
const TTL_SECONDS: i32 = 30;
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Longest wait for another migration.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const ACQUIRE: &str = "UPDATE schema_lease SET holder = $1, \
     expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = (SELECT id FROM schema_lease \
     WHERE holder IS NULL OR expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)";
const HOLD: &str = "UPDATE schema_lease SET expires_at = clock_timestamp() + make_interval(secs => $2) \
     WHERE holder = $1";
const RELEASE: &str = "UPDATE schema_lease SET holder = NULL WHERE holder = $1";

/// The right to migrate.
pub(super) struct Lease(Uuid);

impl Lease {
    /// Waits for the end of another migration.
    pub(super) async fn acquire(conn: &mut PgConnection) -> Result<Self, OpenError> {
        let lease = Self(Uuid::now_v7());
        let waiting = async {
            let mut told = false;
            loop {
                let mut tx = steps::begin(conn).await?;
                let taken = lease.update(&mut tx, ACQUIRE).await?;
                tx.commit().await.map_err(write_error)?;
                if taken {
                    return Ok(());
                }
                if !told {
                    tracing::info!("waiting for another migration");
                    told = true;
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(taken) => taken.map(|()| lease),
            Err(_) => Err(lost("another migration does not end")),
        }
    }

    /// Extends the lease and keeps it locked to the end of the transaction: whoever works is who holds it.
    pub(super) async fn hold(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), OpenError> {
        if self.update(tx, HOLD).await? {
            return Ok(());
        }
        Err(lost(
            "the lease of this migration ended, another one has taken over",
        ))
    }

    pub(super) async fn release(&self, conn: &mut PgConnection) -> Result<(), OpenError> {
        let mut tx = steps::begin(conn).await?;
        sqlx::query(RELEASE)
            .bind(self.0)
            .persistent(false)
            .execute(&mut *tx)
            .await
            .map_err(write_error)?;
        tx.commit().await.map_err(write_error)?;
        Ok(())
    }

    async fn update(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        statement: &'static str,
    ) -> Result<bool, OpenError> {
        let done = sqlx::query(statement)
            .bind(self.0)
            .bind(TTL_SECONDS)
            .persistent(false)
            .execute(&mut **tx)
            .await
            .map_err(write_error)?;
        Ok(done.rows_affected() > 0)
    }
}

fn lost(text: &str) -> OpenError {
    StoreError::Unavailable(text.to_owned()).into()
}
