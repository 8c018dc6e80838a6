//! Starts.

use ag_store::{Result, Start, StartOutcome, StoreError};
use ag_types::{PlaneId, RunId};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Kind, more::More};
use crate::{
    arrays::{Letters, Place, Segments, Statement, States, arrays, weight},
    stamp::Stamp,
};

const CALL: &str = "SELECT o_ix, o_outcome, o_run FROM start_runs_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, \
     $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50::text::json) ORDER BY o_ix";

/// A start in its plane.
pub(crate) struct StartJob {
    pub(crate) plane: PlaneId,
    pub(crate) start: Start,
}

arrays! {
    /// One per start.
    Heads {
        plane: i32, root: Uuid, key: Option<&'a str>, body: Option<&'a [u8]>, expires: Option<Stamp>,
        generation: Option<i64>, at: Stamp,
    }
}

arrays! {
    /// One per run.
    NewRuns {
        ix: i32, run: Uuid, parent: Option<Uuid>, workflow: &'a str, actor: Option<&'a str>,
        session: Option<&'a str>, bundle: Option<&'a str>, created: Stamp, pool: &'a str, place: &'a str,
        owner: Option<i64>, epoch: i64, wake: Option<Stamp>, last_seq: i64,
    }
}

/// Starts of runs.
pub(crate) struct Starts;

impl Kind for Starts {
    type Job = StartJob;
    type Answer = StartOutcome;

    fn weight(job: &StartJob) -> usize {
        let runs = job.start.runs.iter();
        runs.map(|run| weight(&run.columns, &run.segments, &[], &[]))
            .sum()
    }

    fn statement(now: Option<Stamp>, jobs: &[StartJob]) -> sqlx::Result<Statement<'static>> {
        statement(now, jobs)
    }

    fn answers(jobs: &[StartJob], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Self::Answer>>> {
        answers(jobs, rows)
    }
}

fn statement(now: Option<Stamp>, jobs: &[StartJob]) -> sqlx::Result<Statement<'static>> {
    let (mut heads, mut runs, mut states) = (Heads::default(), NewRuns::default(), States::default());
    let (mut segments, mut letters, mut more) = (Segments::default(), Letters::default(), More::default());
    for (StartJob { plane, start }, ix) in jobs.iter().zip(1..) {
        heads.plane.push(plane.0);
        // A start without runs writes its other rows only.
        let root = start.runs.first().map_or(Uuid::nil(), |run| run.head.run_id.0);
        heads.root.push(root);
        let key = start.key.as_ref();
        heads.key.push(key.map(|key| key.key.as_str()));
        heads.body.push(key.map(|key| key.body_sha256.as_slice()));
        heads.expires.push(key.map(|key| key.expires_before.into()));
        heads.generation.push(start.generation);
        heads.at.push(start.now.into());
        for run in &start.runs {
            let place = Place::from(run.placement);
            runs.ix.push(ix);
            runs.run.push(run.head.run_id.0);
            runs.parent.push(run.head.parent_run_id.map(|parent| parent.0));
            runs.workflow.push(&run.head.workflow_id);
            runs.actor.push(run.head.actor_id.as_deref());
            runs.session.push(run.head.session_id.as_deref());
            runs.bundle.push(run.bundle_sha256.as_deref());
            runs.created.push(run.head.created_at.into());
            runs.pool.push(&run.pool);
            runs.place.push(place.name);
            runs.owner.push(place.owner);
            runs.epoch.push(place.epoch);
            runs.wake.push(place.wake);
            runs.last_seq.push(run.last_seq);
            states.push(&run.columns);
            segments.push(ix, run.head.run_id.0, &run.segments);
        }
        letters.push(ix, &start.mail);
        more.artifacts(ix, &start.artifacts);
        more.owners(ix, &start.owners);
        more.memory(ix, &start.memory);
    }
    let statement = states.bind(runs.bind(heads.bind(sqlx::query(CALL).bind(now))));
    Ok(letters.bind(segments.bind(statement)).bind(more.parameter()?))
}

fn answers(_: &[StartJob], rows: &[PgRow]) -> sqlx::Result<Vec<Result<StartOutcome>>> {
    rows.iter()
        .map(|row| {
            let run: Option<Uuid> = row.try_get("o_run")?;
            Ok(outcome(row.try_get("o_outcome")?, run))
        })
        .collect()
}

fn outcome(text: &str, run: Option<Uuid>) -> Result<StartOutcome> {
    match (text, run) {
        ("created", _) => Ok(StartOutcome::Created),
        ("existing", Some(run)) => Ok(StartOutcome::Existing(RunId(run))),
        ("conflict", _) => Ok(StartOutcome::KeyConflict),
        ("generation", _) => Ok(StartOutcome::StaleGeneration),
        ("stale", _) => Ok(StartOutcome::Stale),
        ("retry", _) => Err(StoreError::Unavailable(
            "the start key is being replaced".to_owned(),
        )),
        _ => Err(StoreError::Internal(format!(
            "unknown answer '{text}' to a start"
        ))),
    }
}
