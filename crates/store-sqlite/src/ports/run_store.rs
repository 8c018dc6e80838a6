//! The write path of runs.

use ag_store::{
    Beat, CandidateQuery, Claim, Commit, CommitOutcome, Mail, MailKind, NewSession, PoolLoad, Result,
    RunStore, Start, StartOutcome, Sweep, Woken,
};
use ag_types::{RunId, RunKey, SessionId, SystemScope, TenantScope};
use async_trait::async_trait;

use super::mismatch;
use crate::{
    error::corrupt,
    store::SqliteStore,
    writer::{Answer, Op},
};

#[async_trait]
impl RunStore for SqliteStore {
    #[tracing::instrument(level = "debug", name = "store.run.start", skip_all)]
    async fn start(&self, scope: &TenantScope, start: Start) -> Result<StartOutcome> {
        match self
            .write(Op::Start {
                plane: scope.plane,
                start: Box::new(start),
            })
            .await?
        {
            Answer::Started(outcome) => Ok(outcome),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.run.open_session", skip_all)]
    async fn open_session(&self, _: &SystemScope, session: NewSession) -> Result<()> {
        self.shared
            .leases
            .lock()
            .open_session(&session, self.shared.clock.now());
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "store.run.renew_session", skip_all)]
    async fn renew_session(&self, _: &SystemScope, session: SessionId) -> Result<bool> {
        Ok(self
            .shared
            .leases
            .lock()
            .renew_session(session, self.shared.clock.now()))
    }

    #[tracing::instrument(level = "debug", name = "store.run.close_session", skip_all)]
    async fn close_session(&self, _: &SystemScope, session: SessionId, clean: bool) -> Result<Vec<Woken>> {
        woken(self.write(Op::CloseSession { session, clean }).await?)
    }

    #[tracing::instrument(level = "debug", name = "store.run.claim", skip_all)]
    async fn claim(
        &self,
        _: &SystemScope,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        self.claim_ready(session, keys, known)
    }

    #[tracing::instrument(level = "debug", name = "store.run.release", skip_all)]
    async fn release(&self, _: &SystemScope, session: SessionId, key: RunKey, epoch: i64) -> Result<bool> {
        match self.write(Op::Release { session, key, epoch }).await? {
            Answer::Changed(held) => Ok(held),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.run.note_driven", skip_all)]
    async fn note_driven(&self, _: &SystemScope, session: SessionId, runs: &[(RunKey, i64)]) -> Result<()> {
        let runs = runs.to_vec();
        self.write(Op::NoteDriven { session, runs }).await.map(drop)
    }

    #[tracing::instrument(level = "debug", name = "store.run.held_runs", skip_all)]
    async fn held_runs(&self, _: &SystemScope, session: SessionId) -> Result<Vec<(RunKey, i64)>> {
        Ok(self.shared.leases.lock().held_with_epochs(session))
    }

    #[tracing::instrument(level = "debug", name = "store.run.ready_among", skip_all)]
    async fn ready_among(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Woken>> {
        Ok(self.shared.leases.lock().ready_among(keys))
    }

    #[tracing::instrument(level = "debug", name = "store.run.take_over", skip_all)]
    async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>> {
        let now = self.shared.clock.now();
        let overdue = self.shared.leases.lock().overdue_among(now, scope.plane, runs);
        if overdue.is_empty() {
            return Ok(Vec::new());
        }
        woken(self.write(Op::TakeOver(overdue)).await?)
    }

    #[tracing::instrument(level = "debug", name = "store.run.commit", skip_all)]
    async fn commit(&self, _: &SystemScope, commit: Commit) -> Result<CommitOutcome> {
        match self.write(Op::Commit(Box::new(commit))).await? {
            Answer::Committed(outcome) => Ok(outcome),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.run.read_mail", skip_all)]
    async fn read_mail(&self, _: &SystemScope, key: RunKey, after: i64) -> Result<Vec<Mail>> {
        const SQL: &str = "SELECT n, kind, body, command_id FROM mail WHERE run_id = ? AND plane_id = ? AND n > ? ORDER BY n";
        let values = [key.run.into(), key.plane.into(), after.into()];
        self.read(|db| {
            db.all(SQL, &values, |row| {
                let (n, kind) = (row.int()?, row.text()?);
                let kind = MailKind::parse(kind).ok_or_else(|| corrupt("mail kind", kind))?;
                Ok(Mail {
                    n,
                    kind,
                    body: row.shared()?,
                    command_id: row.opt_shared()?,
                })
            })
        })
    }

    #[tracing::instrument(level = "debug", name = "store.run.candidates", skip_all)]
    async fn candidates(&self, _: &SystemScope, query: CandidateQuery) -> Result<Vec<RunKey>> {
        Ok(self.shared.leases.lock().candidates(&query))
    }

    #[tracing::instrument(level = "debug", name = "store.run.beat", skip_all)]
    async fn beat(&self, _: &SystemScope, session: SessionId, pool: &str) -> Result<Beat> {
        const NEXT: &str = "SELECT min(wake_at) FROM run_heads WHERE wake_at IS NOT NULL";
        let next_wake = self
            .read(|db| db.first(NEXT, &[], |row| row.opt_time()))?
            .flatten();
        let now = self.shared.clock.now();
        let leases = self.shared.leases.lock();
        Ok(Beat {
            cancels: leases.cancels_of(session),
            next_wake,
            session_expired: leases.any_expired(now),
            preempt_due: !leases.overdue(now, 1).is_empty(),
            oldest_ready: leases.oldest_ready(pool),
            now: Some(now),
        })
    }

    #[tracing::instrument(level = "debug", name = "store.run.pools", skip_all)]
    async fn pools(&self, _: &SystemScope) -> Result<Vec<PoolLoad>> {
        Ok(self.shared.leases.lock().pools(self.shared.clock.now()))
    }

    #[tracing::instrument(level = "debug", name = "store.run.sweep", skip_all)]
    async fn sweep(&self, _: &SystemScope, sweep: Sweep) -> Result<Vec<Woken>> {
        woken(self.write(Op::Sweep(sweep)).await?)
    }

    #[tracing::instrument(level = "debug", name = "store.run.append_to_terminal", skip_all)]
    async fn append_to_terminal(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>> {
        let op = Op::Append {
            plane: scope.plane,
            run,
            lines: lines.to_vec(),
        };
        match self.write(op).await? {
            Answer::Appended(first) => Ok(first),
            _ => Err(mismatch()),
        }
    }

    #[tracing::instrument(level = "debug", name = "store.run.purge_runs", skip_all)]
    async fn purge_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        match self
            .write(Op::Purge {
                plane: scope.plane,
                runs: runs.to_vec(),
            })
            .await?
        {
            Answer::Purged(runs, records, commands) => Ok((runs, records, commands)),
            _ => Err(mismatch()),
        }
    }
}

fn woken(answer: Answer) -> Result<Vec<Woken>> {
    match answer {
        Answer::Woken(woken) => Ok(woken),
        _ => Err(mismatch()),
    }
}
