//! Claims. A batch belongs to one session.

use std::collections::HashMap;

use ag_store::{Claim, ClaimedRun, Result};
use ag_types::{RunHead, RunKey, SessionId, Timestamp};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::Kind;
use crate::{
    arrays::Statement,
    ports::disown,
    rows::{Cursor, narrow},
    stamp::Stamp,
    store::Database,
};

/// At least one row, so that the time is known.
const CALL: &str = "SELECT coalesce($1, clock_timestamp()), c.* \
     FROM (SELECT) one LEFT JOIN claim_runs_v1($1, $2, $3, $4, $5) c ON true";

/// Keys wanted by a session, with the revision that it still holds.
pub(crate) struct ClaimJob {
    pub(crate) session: SessionId,
    pub(crate) keys: Vec<(RunKey, Option<i32>)>,
}

/// Claims of runs.
pub(crate) struct Claims;

impl Kind for Claims {
    type Job = ClaimJob;
    type Answer = Claim;
    /// A second call would not find the runs that the first one got.
    const REPEATABLE: bool = false;

    /// The states that come back.
    fn weight(job: &ClaimJob) -> usize {
        job.keys.len() << 13
    }

    fn group(job: &ClaimJob) -> i64 {
        job.session.0
    }

    /// Nobody knows of these runs: they go back.
    fn undelivered(database: &Database, job: &ClaimJob, claim: Claim) {
        let keys: Vec<_> = claim.runs.iter().map(|run| run.key).collect();
        if !keys.is_empty() {
            tokio::spawn(disown(database.clone(), job.session, keys));
        }
    }

    fn statement(now: Option<Stamp>, jobs: &[ClaimJob]) -> sqlx::Result<Statement<'static>> {
        statement(now, jobs)
    }

    fn answers(jobs: &[ClaimJob], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Self::Answer>>> {
        answers(jobs, rows)
    }
}

fn statement(now: Option<Stamp>, jobs: &[ClaimJob]) -> sqlx::Result<Statement<'static>> {
    let keys = || jobs.iter().flat_map(|job| &job.keys);
    let runs: Vec<Uuid> = keys().map(|(key, _)| key.run.0).collect();
    let planes: Vec<i32> = keys().map(|(key, _)| key.plane.0).collect();
    let known: Vec<Option<i32>> = keys().map(|(_, known)| *known).collect();
    Ok(sqlx::query(CALL)
        .bind(now)
        .bind(jobs.first().map(|job| job.session.0))
        .bind(runs)
        .bind(planes)
        .bind(known))
}

fn answers(jobs: &[ClaimJob], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Claim>>> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let Stamp(now) = first.try_get(0)?;
    let mut found = HashMap::with_capacity(rows.len());
    let mut damaged = None;
    for row in rows {
        match claimed(row) {
            Ok(Some(run)) => {
                found.insert(run.key, run);
            }
            Ok(None) => {}
            Err(error) => damaged = Some(error),
        }
    }
    let mut answer = |job: &ClaimJob| {
        // In the order asked for; a run that two calls want goes to the first.
        let runs: Vec<_> = job.keys.iter().filter_map(|(key, _)| found.remove(key)).collect();
        match &damaged {
            Some(error) if runs.len() < job.keys.len() => Err(error.clone()),
            _ => Ok(Claim { now, runs }),
        }
    };
    Ok(jobs.iter().map(&mut answer).collect())
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
