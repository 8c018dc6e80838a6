//! Claims.

use std::{collections::HashMap, time::Duration};

use ag_store::{Claim, ClaimedRun, Result, StoreError};
use ag_types::{RunHead, RunKey, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{
    error::{Fate, fate},
    rows::{Cursor, narrow},
    store::{Database, PostgresStore},
};

/// At least one row, so that the time is known.
pub(super) const CLAIM: &str = "SELECT coalesce($1, clock_timestamp()), c.* \
     FROM (SELECT) one LEFT JOIN claim_runs_v1($1, $2, $3, $4, $5) c ON true";

/// Gives runs back whose claim nobody has heard of; the epoch fences whoever did.
const DISOWN: &str = "UPDATE run_heads h SET owner = NULL, preempt_at = NULL, epoch = h.epoch + 1, \
     ready_at = coalesce($1, clock_timestamp()) \
     FROM unnest($3::uuid[], $4::int[]) k(run, plane) \
     WHERE h.run_id = k.run AND h.plane_id = k.plane AND coalesce(h.owner, -1) = $2";

/// Attempts to give runs back after a lost answer; the lease ends later anyway.
const DISOWN_ATTEMPTS: u32 = 10;

impl PostgresStore {
    pub(super) async fn claim_ready(
        &self,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        let known: HashMap<RunKey, i32> = known.iter().copied().collect();
        let runs: Vec<Uuid> = keys.iter().map(|key| key.run.0).collect();
        let planes: Vec<i32> = keys.iter().map(|key| key.plane.0).collect();
        let known: Vec<Option<i32>> = keys.iter().map(|key| known.get(key).copied()).collect();
        let mut conn = self.database.conn().await?;
        let fetched = sqlx::query(CLAIM)
            .bind(self.database.now())
            .bind(session.0)
            .bind(&runs)
            .bind(&planes)
            .bind(&known)
            .fetch_all(&mut *conn)
            .await;
        match fetched {
            Ok(rows) => claim(keys, &rows),
            Err(error) if fate(&error) == Fate::Unknown => {
                drop(conn.detach());
                tokio::spawn(disown(self.database.clone(), session, runs, planes));
                Err(self.database.read_failed(error))
            }
            Err(error) => Err(self.database.write_failed(error)),
        }
    }
}

fn claim(keys: &[RunKey], rows: &[PgRow]) -> Result<Claim> {
    let first = rows
        .first()
        .ok_or_else(|| StoreError::Internal("the claim function answered nothing".to_owned()))?;
    let now = Cursor::new(first).time()?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(run) = claimed(row)? {
            found.insert(run.key, run);
        }
    }
    // In the order asked for.
    let runs = keys.iter().filter_map(|key| found.remove(key)).collect();
    Ok(Claim { now, runs })
}

fn claimed(row: &PgRow) -> Result<Option<ClaimedRun>> {
    let mut cursor = Cursor::new(row);
    let _: Timestamp = cursor.time()?;
    let Some(key) = cursor.opt_key()? else {
        return Ok(None);
    };
    let (epoch, mail_in, crashes) = (cursor.long()?, cursor.long()?, cursor.next()?);
    let (pool, rev, last_seq) = (cursor.shared()?, cursor.int()?, cursor.long()?);
    let head = RunHead {
        run_id: key.run,
        workflow_id: cursor.shared()?,
        actor_id: cursor.opt_shared()?,
        session_id: cursor.opt_shared()?,
        parent_run_id: cursor.opt_run_id()?,
        created_at: cursor.time()?,
    };
    let bundle_sha256 = cursor.opt_shared()?;
    let state = narrow(&mut cursor)?;
    let is_known = cursor.flag()?;
    Ok(Some(ClaimedRun {
        key,
        epoch,
        mail_in,
        crashes,
        rev,
        last_seq,
        head,
        pool,
        bundle_sha256,
        columns: if is_known {
            None
        } else {
            Some(state.columns(&mut cursor)?)
        },
    }))
}

/// The answer of a claim was lost. If it had been granted, the session would own runs that it does not know of, for
/// as long as it lives.
async fn disown(database: Database, session: SessionId, runs: Vec<Uuid>, planes: Vec<i32>) {
    for attempt in 1..=DISOWN_ATTEMPTS {
        if let Ok(mut conn) = database.pool.acquire().await {
            let done = sqlx::query(DISOWN)
                .bind(database.now())
                .bind(session.0)
                .bind(&runs)
                .bind(&planes)
                .execute(&mut *conn)
                .await;
            match done {
                Ok(_) => return,
                Err(error) if fate(&error) == Fate::Unknown => drop(conn.detach()),
                Err(_) => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
    }
    tracing::warn!(
        runs = runs.len(),
        "runs of a lost claim wait for the end of their session"
    );
}
