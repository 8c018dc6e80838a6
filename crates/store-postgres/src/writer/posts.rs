//! Commands. A batch belongs to one plane: its row is what numbers them.

use ag_store::{NewCommand, PostOutcome, Result, StoreError, Woken};
use ag_types::{PlaneId, RunId, RunKey, SessionId};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::Kind;
use crate::{
    arrays::{Statement, arrays},
    stamp::Stamp,
};

const CALL: &str = "SELECT o_ix, o_what, o_seq, o_target, o_pool, o_owner FROM post_commands_v1($1, $2, $3, $4, $5, $6, \
     $7, $8, $9, $10, $11, $12, $13, $14)";

/// A command in its plane.
pub(crate) struct Post {
    pub(crate) plane: PlaneId,
    pub(crate) command: NewCommand,
}

arrays! {
    /// One per command.
    Heads {
        command: &'a str, run: &'a str, kind: &'a str, payload: &'a str, client: Option<&'a str>, ts: &'a str,
        at: Stamp, outcome: Option<&'a str>,
    }
}

arrays! {
    /// One per target.
    Targets { ix: i32, run: Uuid, kind: &'a str, body: &'a str }
}

/// Durable commands.
pub(crate) struct Posts;

impl Kind for Posts {
    type Job = Post;
    type Answer = PostOutcome;

    fn weight(job: &Post) -> usize {
        let mail: usize = job.command.targets.iter().map(|target| target.body.len()).sum();
        256 + job.command.payload.len() + mail
    }

    fn group(job: &Post) -> i64 {
        i64::from(job.plane.0)
    }

    fn statement(now: Option<Stamp>, jobs: &[Post]) -> sqlx::Result<Statement<'static>> {
        statement(now, jobs)
    }

    fn answers(jobs: &[Post], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Self::Answer>>> {
        answers(jobs, rows)
    }
}

fn statement(now: Option<Stamp>, jobs: &[Post]) -> sqlx::Result<Statement<'static>> {
    let (mut heads, mut targets) = (Heads::default(), Targets::default());
    for (Post { command, .. }, ix) in jobs.iter().zip(1..) {
        heads.command.push(&command.command_id);
        heads.run.push(&command.run_id);
        heads.kind.push(&command.kind);
        heads.payload.push(&command.payload);
        heads.client.push(command.client_id.as_deref());
        heads.ts.push(&command.ts);
        heads.at.push(command.now.into());
        heads.outcome.push(command.outcome.as_deref());
        for target in &command.targets {
            targets.ix.push(ix);
            targets.run.push(target.run.0);
            targets.kind.push(target.kind.as_str());
            targets.body.push(&target.body);
        }
    }
    let statement = sqlx::query(CALL)
        .bind(now)
        .bind(jobs.first().map(|job| job.plane.0));
    Ok(targets.bind(heads.bind(statement)))
}

fn answers(jobs: &[Post], rows: &[PgRow]) -> sqlx::Result<Vec<Result<PostOutcome>>> {
    let Some(plane) = jobs.first().map(|job| job.plane) else {
        return Ok(Vec::new());
    };
    let mut outcomes: Vec<Option<PostOutcome>> = jobs.iter().map(|_| None).collect();
    for row in rows {
        let ix: i32 = row.try_get("o_ix")?;
        let place = usize::try_from(ix - 1).ok();
        if let Some(outcome) = place.and_then(|place| outcomes.get_mut(place)) {
            note(outcome, plane, row)?;
        }
    }
    let missing = || {
        Err(StoreError::Internal(
            "the command function answered nothing".to_owned(),
        ))
    };
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.map_or_else(missing, Ok))
        .collect())
}

/// Adds one row of the answer; the row that says what became of a command comes before those of its targets.
fn note(outcome: &mut Option<PostOutcome>, plane: PlaneId, row: &PgRow) -> sqlx::Result<()> {
    match (row.try_get("o_what")?, outcome) {
        ("accepted", outcome) => {
            *outcome = Some(PostOutcome::Accepted {
                seq: row.try_get("o_seq")?,
                woken: Vec::new(),
                preempt: Vec::new(),
            });
        }
        ("duplicate", outcome) => {
            *outcome = Some(PostOutcome::Duplicate {
                seq: row.try_get("o_seq")?,
            });
        }
        ("stale", outcome) => *outcome = Some(PostOutcome::Stale),
        ("woken", Some(PostOutcome::Accepted { woken, .. })) => {
            let run = RunId(row.try_get("o_target")?);
            let pool: &str = row.try_get("o_pool")?;
            woken.push(Woken {
                key: RunKey { run, plane },
                pool: pool.into(),
            });
        }
        ("preempt", Some(PostOutcome::Accepted { preempt, .. })) => {
            let run = RunId(row.try_get("o_target")?);
            preempt.push((SessionId(row.try_get("o_owner")?), run));
        }
        _ => {}
    }
    Ok(())
}
