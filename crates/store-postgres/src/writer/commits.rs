//! Commits.

use ag_store::{Commit, CommitOutcome, Rest, Result, StoreError};
use ag_telemetry::metrics::STALE_WRITES;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Kind, more::More};
use crate::{
    arrays::{Letters, Segments, Statement, States, arrays, weight},
    stamp::Stamp,
    store::Database,
};

pub(crate) const CALL: &str = "SELECT o_ix, o_outcome, o_mail_in FROM commit_runs_v1($1, $2, $3, $4, $5, $6, $7, $8, \
     $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, \
     $32, $33, $34, $35, $36, $37, $38, $39, $40::text::json) ORDER BY o_ix";

arrays! {
    /// One per commit.
    Heads {
        session: i64, run: Uuid, plane: i32, epoch: i64, rev: i32, rest: &'a str, wake: Option<Stamp>, seen: i64,
        progress: bool, pool: Option<&'a str>, last_seq: i64,
    }
}

/// Fenced writes of runs.
pub(crate) struct Commits;

impl Kind for Commits {
    type Job = Commit;
    type Answer = CommitOutcome;

    fn weight(job: &Commit) -> usize {
        weight(&job.columns, &job.segments, &job.mail, &job.children)
    }

    /// Who has lost its run stops waiting for the answers about it; that they were refusals is counted all the same.
    fn undelivered(_: &Database, _: &Commit, answer: CommitOutcome) {
        if matches!(answer, CommitOutcome::Lost) {
            STALE_WRITES.with([]).increment(1);
        }
    }

    fn statement(now: Option<Stamp>, jobs: &[Commit]) -> sqlx::Result<Statement<'static>> {
        statement(now, jobs)
    }

    fn answers(jobs: &[Commit], rows: &[PgRow]) -> sqlx::Result<Vec<Result<Self::Answer>>> {
        answers(jobs, rows)
    }
}

fn statement(now: Option<Stamp>, jobs: &[Commit]) -> sqlx::Result<Statement<'static>> {
    let (mut heads, mut states) = (Heads::default(), States::default());
    let (mut segments, mut letters, mut more) = (Segments::default(), Letters::default(), More::default());
    for (commit, ix) in jobs.iter().zip(1..) {
        let (rest, wake) = match commit.rest {
            Rest::Keep => ("K", None),
            Rest::Wait { wake_at } => ("W", wake_at.map(Stamp)),
            Rest::Again => ("B", None),
            Rest::Terminal => ("T", None),
        };
        heads.session.push(commit.session.0);
        heads.run.push(commit.key.run.0);
        heads.plane.push(commit.key.plane.0);
        heads.epoch.push(commit.epoch);
        heads.rev.push(commit.rev);
        heads.rest.push(rest);
        heads.wake.push(wake);
        heads.seen.push(commit.seen);
        heads.progress.push(commit.progress);
        heads.pool.push(commit.pool.as_deref());
        heads.last_seq.push(commit.last_seq);
        states.push(&commit.columns);
        segments.push(ix, commit.key.run.0, &commit.segments);
        for child in &commit.children {
            segments.push(ix, child.head.run_id.0, &child.segments);
        }
        letters.push(ix, &commit.mail);
        more.children(ix, &commit.children);
        more.artifacts(ix, &commit.artifacts);
        more.owners(ix, &commit.owners);
        more.memory(ix, &commit.memory);
        more.outcomes(ix, &commit.outcomes);
    }
    let statement = states.bind(heads.bind(sqlx::query(CALL).bind(now)));
    Ok(letters.bind(segments.bind(statement)).bind(more.parameter()?))
}

fn answers(_: &[Commit], rows: &[PgRow]) -> sqlx::Result<Vec<Result<CommitOutcome>>> {
    rows.iter()
        .map(|row| Ok(outcome(row.try_get("o_outcome")?, row.try_get("o_mail_in")?)))
        .collect()
}

fn outcome(text: &str, mail_in: i64) -> Result<CommitOutcome> {
    match text {
        "ok" => Ok(CommitOutcome::Committed { mail_in }),
        "stale" => Ok(CommitOutcome::Stale { mail_in }),
        "lost" => Ok(CommitOutcome::Lost),
        _ => Err(StoreError::Internal(format!(
            "unknown answer '{text}' to a commit"
        ))),
    }
}
