//! The write path of runs.

use ag_store::{
    Beat, CandidateQuery, Claim, Commit, CommitOutcome, Mail, NewSession, PoolLoad, Result, RunStore, Start,
    StartOutcome, Sweep, Woken,
};
use ag_types::{RunId, RunKey, SessionId, SystemScope, TenantScope};
use async_trait::async_trait;

use crate::{rows::Cursor, store::PostgresStore, writer::StartJob};

pub(super) const MAIL: &str =
    "SELECT n, kind, body, command_id FROM mail WHERE run_id = $1 AND plane_id = $2 AND n > $3 ORDER BY n";

#[async_trait]
impl RunStore for PostgresStore {
    #[tracing::instrument(level = "debug", name = "store.run.start", skip_all)]
    async fn start(&self, scope: &TenantScope, start: Start) -> Result<StartOutcome> {
        let plane = scope.plane;
        self.starts.send(StartJob { plane, start }).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.open_session", skip_all)]
    async fn open_session(&self, _: &SystemScope, session: NewSession) -> Result<()> {
        self.insert_session(&session).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.renew_session", skip_all)]
    async fn renew_session(&self, _: &SystemScope, session: SessionId) -> Result<bool> {
        self.extend_session(session).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.close_session", skip_all)]
    async fn close_session(&self, _: &SystemScope, session: SessionId, clean: bool) -> Result<Vec<Woken>> {
        self.end_session(session, clean).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.claim", skip_all)]
    async fn claim(
        &self,
        _: &SystemScope,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        self.claim_ready(session, keys, known).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.release", skip_all)]
    async fn release(&self, _: &SystemScope, session: SessionId, key: RunKey, epoch: i64) -> Result<bool> {
        self.release_run(session, key, epoch).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.note_driven", skip_all)]
    async fn note_driven(&self, _: &SystemScope, session: SessionId, runs: &[(RunKey, i64)]) -> Result<()> {
        self.note_drives(session, runs).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.held_runs", skip_all)]
    async fn held_runs(&self, _: &SystemScope, session: SessionId) -> Result<Vec<(RunKey, i64)>> {
        self.runs_of_session(session).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.ready_among", skip_all)]
    async fn ready_among(&self, _: &SystemScope, keys: &[RunKey]) -> Result<Vec<Woken>> {
        self.ready_of(keys).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.take_over", skip_all)]
    async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>> {
        self.take_over_ignored(scope, runs).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.commit", skip_all)]
    async fn commit(&self, _: &SystemScope, commit: Commit) -> Result<CommitOutcome> {
        self.commits.send(commit).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.read_mail", skip_all)]
    async fn read_mail(&self, _: &SystemScope, key: RunKey, after: i64) -> Result<Vec<Mail>> {
        let query = sqlx::query(MAIL).bind(key.run.0).bind(key.plane.0).bind(after);
        let rows = self.database.read(query).await?;
        rows.iter()
            .map(|row| {
                let mut cursor = Cursor::new(row);
                Ok(Mail {
                    n: cursor.long()?,
                    kind: cursor.mail_kind()?,
                    body: cursor.shared()?,
                    command_id: cursor.opt_shared()?,
                })
            })
            .collect()
    }

    #[tracing::instrument(level = "debug", name = "store.run.candidates", skip_all)]
    async fn candidates(&self, _: &SystemScope, query: CandidateQuery) -> Result<Vec<RunKey>> {
        self.ready_runs(&query).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.beat", skip_all)]
    async fn beat(&self, _: &SystemScope, session: SessionId, pool: &str) -> Result<Beat> {
        self.heartbeat(session, pool).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.pools", skip_all)]
    async fn pools(&self, _: &SystemScope) -> Result<Vec<PoolLoad>> {
        self.pool_loads().await
    }

    #[tracing::instrument(level = "debug", name = "store.run.sweep", skip_all)]
    async fn sweep(&self, _: &SystemScope, sweep: Sweep) -> Result<Vec<Woken>> {
        self.reconcile(sweep).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.append_to_terminal", skip_all)]
    async fn append_to_terminal(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>> {
        self.append_records(scope, run, lines).await
    }

    #[tracing::instrument(level = "debug", name = "store.run.purge_runs", skip_all)]
    async fn purge_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        self.purge(scope, runs).await
    }
}
