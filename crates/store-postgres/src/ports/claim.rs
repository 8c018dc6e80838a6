//! Claims.

use std::{collections::HashMap, time::Duration};

use ag_store::{Claim, Result, StoreError};
use ag_types::{RunKey, SessionId};
use uuid::Uuid;

use crate::{
    error::{Fate, fate},
    store::{Database, PostgresStore},
    writer::ClaimJob,
};

/// Gives runs back whose claim nobody has heard of; the epoch fences whoever did.
const DISOWN: &str = "UPDATE run_heads h SET owner = NULL, preempt_at = NULL, epoch = h.epoch + 1, \
     ready_at = coalesce($1, clock_timestamp()) \
     FROM unnest($3::uuid[], $4::int[]) k(run, plane) \
     WHERE h.run_id = k.run AND h.plane_id = k.plane AND coalesce(h.owner, -1) = $2";

/// Attempts to give runs back after a lost answer; runners find what is left themselves.
const DISOWN_ATTEMPTS: u32 = 20;

const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl PostgresStore {
    pub(super) async fn claim_ready(
        &self,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        let known: HashMap<RunKey, i32> = known.iter().copied().collect();
        let wanted = keys.iter().map(|key| (*key, known.get(key).copied()));
        let job = ClaimJob {
            session,
            keys: wanted.collect(),
        };
        match self.claims.send(job).await {
            Err(StoreError::Ambiguous(error)) => {
                // Before the session claims again: what it gets then must not be taken from it.
                disown(self.database.clone(), session, keys.to_vec()).await;
                Err(StoreError::Unavailable(error))
            }
            other => other,
        }
    }
}

/// The answer of a claim was lost. If it had been granted, the session would own runs that it does not know of, for
/// as long as it lives.
pub(crate) async fn disown(database: Database, session: SessionId, keys: Vec<RunKey>) {
    let runs: Vec<Uuid> = keys.iter().map(|key| key.run.0).collect();
    let planes: Vec<i32> = keys.iter().map(|key| key.plane.0).collect();
    for attempt in 1..=DISOWN_ATTEMPTS {
        if let Ok(mut conn) = database.conn().await {
            let query = sqlx::query(DISOWN)
                .bind(database.now())
                .bind(session.0)
                .bind(&runs)
                .bind(&planes);
            match database.execute(&mut conn, None, query).await {
                Ok(_) => return,
                Err(error) if fate(&error) == Fate::Unknown => conn.cut(),
                Err(_) => {}
            }
        }
        tokio::time::sleep((Duration::from_millis(100) * attempt).min(LONGEST_PAUSE)).await;
    }
    tracing::warn!(
        runs = runs.len(),
        "runs of a lost claim are left to the runner, or to the end of its session"
    );
}
