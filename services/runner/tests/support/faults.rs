//! A store that dies at its n-th write, before or after it is applied, or that is away for a while.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use ag_store::{
    ArtifactFilter, ArtifactIndex, ArtifactRow, Beat, CandidateQuery, Claim, CommandRow, CommandStore,
    Commit, CommitOutcome, Document, DocumentKind, Documents, LedgerPage, Listener, Mail, NewCommand,
    NewSession, OwnerRow, OwnerStore, Planes, PoolLoad, PostOutcome, PutMode, PutOutcome, RelatedRun, Result,
    RunFilter, RunListRow, RunReads, RunRow, RunStore, Start, StartOutcome, Store, StoreError, Sweep, Tail,
    Woken,
};
use ag_store::{
    AssertionFilter, AssertionOrder, MemoryStore, StoredAssertion, StoredSpanEntry, StoredVector,
};
use ag_store_sqlite::SqliteStore;
use ag_types::{PlaneId, PlaneKey, RunId, RunKey, SessionId, SystemScope, TenantScope};
use async_trait::async_trait;

/// The plan of a fault and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The write that kills the process, from 1; 0 = none.
    kill_at: usize,
    /// Whether that write is applied first.
    applied: bool,
    writes: AtomicUsize,
    dead: AtomicBool,
    /// While set, writes fail and are not applied.
    away: AtomicBool,
    /// So many reads that steps make still fail.
    blind: AtomicUsize,
    refused: AtomicUsize,
    /// So many granted claims are answered as if the store were away.
    unheard: AtomicUsize,
}

impl Faults {
    pub(crate) fn kill_at(write: usize, applied: bool) -> Self {
        Self {
            kill_at: write,
            applied,
            ..Self::default()
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The answers of the next claims that are granted get lost.
    pub(crate) fn lose_claims(&self, claims: usize) {
        self.unheard.store(claims, Ordering::SeqCst);
    }

    /// Granted claims whose answers are still to be lost.
    pub(crate) fn unheard(&self) -> usize {
        self.unheard.load(Ordering::SeqCst)
    }

    /// The next reads of steps (registry, listeners) fail.
    pub(crate) fn blind(&self, reads: usize) {
        self.blind.store(reads, Ordering::SeqCst);
    }

    /// Whether all of those have happened.
    pub(crate) fn sees_again(&self) -> bool {
        self.blind.load(Ordering::SeqCst) == 0
    }

    /// A read that a step makes.
    async fn look<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let one_less = |left: usize| left.checked_sub(1);
        let blind = self
            .blind
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if blind.is_ok() {
            return Err(StoreError::Unavailable("blind".to_owned()));
        }
        self.read(call).await
    }

    /// Writes refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    fn alive<T>(&self, answer: Result<T>) -> Result<T> {
        if self.is_dead() { Err(crashed()) } else { answer }
    }

    async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.alive(Ok(()))?;
        if self.away.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let kills = self.writes.fetch_add(1, Ordering::SeqCst) + 1 == self.kill_at;
        if kills && !self.applied {
            self.dead.store(true, Ordering::SeqCst);
            return Err(crashed());
        }
        let answer = call.await;
        if kills {
            self.dead.store(true, Ordering::SeqCst);
        }
        // A dead process is told nothing, whatever was applied.
        self.alive(answer)
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.alive(Ok(()))?;
        let answer = call.await;
        self.alive(answer)
    }
}

fn crashed() -> StoreError {
    StoreError::Unavailable("the process is dead".to_owned())
}

pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<SqliteStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
impl RunStore for FaultyStore {
    async fn start(&self, scope: &TenantScope, start: Start) -> Result<StartOutcome> {
        self.faults.write(self.inner.start(scope, start)).await
    }
    async fn open_session(&self, scope: &SystemScope, session: NewSession) -> Result<()> {
        self.faults.read(self.inner.open_session(scope, session)).await
    }
    async fn renew_session(&self, scope: &SystemScope, session: SessionId) -> Result<bool> {
        self.faults.read(self.inner.renew_session(scope, session)).await
    }
    async fn close_session(
        &self,
        scope: &SystemScope,
        session: SessionId,
        clean: bool,
    ) -> Result<Vec<Woken>> {
        self.faults
            .write(self.inner.close_session(scope, session, clean))
            .await
    }
    async fn claim(
        &self,
        scope: &SystemScope,
        session: SessionId,
        keys: &[RunKey],
        known: &[(RunKey, i32)],
    ) -> Result<Claim> {
        let claim = self
            .faults
            .write(self.inner.claim(scope, session, keys, known))
            .await?;
        let one_less = |left: usize| left.checked_sub(1);
        let unheard = &self.faults.unheard;
        if !claim.runs.is_empty()
            && unheard
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
        {
            return Err(StoreError::Unavailable("the answer got lost".to_owned()));
        }
        Ok(claim)
    }
    async fn release(
        &self,
        scope: &SystemScope,
        session: SessionId,
        key: RunKey,
        epoch: i64,
    ) -> Result<bool> {
        self.faults
            .write(self.inner.release(scope, session, key, epoch))
            .await
    }
    async fn note_driven(
        &self,
        scope: &SystemScope,
        session: SessionId,
        runs: &[(RunKey, i64)],
    ) -> Result<()> {
        self.faults
            .read(self.inner.note_driven(scope, session, runs))
            .await
    }
    async fn held_runs(&self, scope: &SystemScope, session: SessionId) -> Result<Vec<(RunKey, i64)>> {
        self.faults.read(self.inner.held_runs(scope, session)).await
    }
    async fn ready_among(&self, scope: &SystemScope, keys: &[RunKey]) -> Result<Vec<Woken>> {
        self.faults.read(self.inner.ready_among(scope, keys)).await
    }
    async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<Vec<Woken>> {
        self.faults.read(self.inner.take_over(scope, runs)).await
    }
    async fn commit(&self, scope: &SystemScope, commit: Commit) -> Result<CommitOutcome> {
        self.faults.write(self.inner.commit(scope, commit)).await
    }
    async fn read_mail(&self, scope: &SystemScope, key: RunKey, after: i64) -> Result<Vec<Mail>> {
        self.faults.read(self.inner.read_mail(scope, key, after)).await
    }
    async fn candidates(&self, scope: &SystemScope, query: CandidateQuery) -> Result<Vec<RunKey>> {
        self.faults.read(self.inner.candidates(scope, query)).await
    }
    async fn beat(&self, scope: &SystemScope, session: SessionId, pool: &str) -> Result<Beat> {
        self.faults.read(self.inner.beat(scope, session, pool)).await
    }
    async fn pools(&self, scope: &SystemScope) -> Result<Vec<PoolLoad>> {
        self.faults.read(self.inner.pools(scope)).await
    }
    async fn sweep(&self, scope: &SystemScope, sweep: Sweep) -> Result<Vec<Woken>> {
        self.faults.write(self.inner.sweep(scope, sweep)).await
    }
    async fn append_to_terminal(
        &self,
        scope: &TenantScope,
        run: RunId,
        lines: &[String],
    ) -> Result<Option<i64>> {
        self.faults
            .write(self.inner.append_to_terminal(scope, run, lines))
            .await
    }
    async fn purge_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<(u64, u64, u64)> {
        self.faults.write(self.inner.purge_runs(scope, runs)).await
    }
}

#[async_trait]
impl RunReads for FaultyStore {
    async fn run(&self, scope: &TenantScope, run: RunId) -> Result<Option<RunRow>> {
        self.faults.read(self.inner.run(scope, run)).await
    }
    async fn runs(&self, scope: &TenantScope, filter: RunFilter) -> Result<Vec<RunListRow>> {
        self.faults.read(self.inner.runs(scope, filter)).await
    }
    async fn children(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RelatedRun>> {
        self.faults.read(self.inner.children(scope, run)).await
    }
    async fn descendants(&self, scope: &TenantScope, run: RunId, limit: usize) -> Result<Vec<RelatedRun>> {
        self.faults.read(self.inner.descendants(scope, run, limit)).await
    }
    async fn live_below(&self, scope: &TenantScope, run: RunId) -> Result<Vec<RunId>> {
        self.faults.read(self.inner.live_below(scope, run)).await
    }
    async fn ledger(
        &self,
        scope: &TenantScope,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<Option<LedgerPage>> {
        self.faults
            .read(self.inner.ledger(scope, run, after, limit))
            .await
    }
    async fn tails(&self, scope: &SystemScope, keys: &[RunKey]) -> Result<Vec<Tail>> {
        self.faults.read(self.inner.tails(scope, keys)).await
    }
    async fn listeners(&self, scope: &TenantScope, wait_key: &str) -> Result<Vec<Listener>> {
        self.faults.look(self.inner.listeners(scope, wait_key)).await
    }
    async fn session_listeners(
        &self,
        scope: &TenantScope,
        session_id: &str,
        limit: usize,
    ) -> Result<Vec<Listener>> {
        self.faults
            .read(self.inner.session_listeners(scope, session_id, limit))
            .await
    }
}

#[async_trait]
impl CommandStore for FaultyStore {
    async fn post_command(&self, scope: &TenantScope, command: NewCommand) -> Result<PostOutcome> {
        self.faults.write(self.inner.post_command(scope, command)).await
    }
    async fn command(&self, scope: &TenantScope, command_id: &str) -> Result<Option<CommandRow>> {
        self.faults.read(self.inner.command(scope, command_id)).await
    }
}

#[async_trait]
impl Documents for FaultyStore {
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        self.faults.look(self.inner.generation(scope)).await
    }
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        self.faults.read(self.inner.document(scope, kind, id)).await
    }
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        self.faults.read(self.inner.documents(scope, kind)).await
    }
    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        mode: PutMode,
    ) -> Result<PutOutcome> {
        self.faults
            .write(self.inner.put_document(scope, kind, document, mode))
            .await
    }
    async fn replace_unchanged(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        read: &str,
        document: Document,
    ) -> Result<bool> {
        self.faults
            .write(self.inner.replace_unchanged(scope, kind, read, document))
            .await
    }
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool> {
        self.faults
            .write(self.inner.delete_document(scope, kind, id))
            .await
    }
}

#[async_trait]
impl ArtifactIndex for FaultyStore {
    async fn put_artifact(&self, scope: &TenantScope, row: ArtifactRow) -> Result<()> {
        self.faults.write(self.inner.put_artifact(scope, row)).await
    }
    async fn artifact(&self, scope: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        self.faults.read(self.inner.artifact(scope, artifact_id)).await
    }
    async fn artifacts(&self, scope: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        self.faults.read(self.inner.artifacts(scope, filter)).await
    }
    async fn update_artifact_meta(&self, scope: &TenantScope, artifact_id: &str, meta: &str) -> Result<bool> {
        self.faults
            .write(self.inner.update_artifact_meta(scope, artifact_id, meta))
            .await
    }
    async fn delete_artifacts_of(
        &self,
        scope: &TenantScope,
        run_ids: &[String],
    ) -> Result<(u64, Vec<String>)> {
        self.faults
            .write(self.inner.delete_artifacts_of(scope, run_ids))
            .await
    }
    async fn blobs_in_use(&self, scope: &TenantScope, blob_ids: &[String]) -> Result<Vec<String>> {
        self.faults.read(self.inner.blobs_in_use(scope, blob_ids)).await
    }
}

#[async_trait]
impl OwnerStore for FaultyStore {
    async fn ensure_owner(&self, scope: &TenantScope, owner: OwnerRow) -> Result<OwnerRow> {
        self.faults.write(self.inner.ensure_owner(scope, owner)).await
    }
    async fn owner(&self, scope: &TenantScope, owner_id: &str) -> Result<Option<OwnerRow>> {
        self.faults.read(self.inner.owner(scope, owner_id)).await
    }
}

#[async_trait]
impl Planes for FaultyStore {
    async fn plane(&self, scope: &SystemScope, key: &PlaneKey) -> Result<TenantScope> {
        self.faults.read(self.inner.plane(scope, key)).await
    }
    async fn plane_by_id(&self, scope: &SystemScope, plane: PlaneId) -> Result<Option<TenantScope>> {
        self.faults.read(self.inner.plane_by_id(scope, plane)).await
    }
    async fn planes(&self, scope: &SystemScope) -> Result<Vec<TenantScope>> {
        self.faults.read(self.inner.planes(scope)).await
    }
}

#[async_trait]
impl MemoryStore for FaultyStore {
    async fn spans(&self, scope: &TenantScope, owner_id: &str) -> Result<Vec<StoredSpanEntry>> {
        self.faults.read(self.inner.spans(scope, owner_id)).await
    }
    async fn spans_by_id(&self, scope: &TenantScope, span_ids: &[String]) -> Result<Vec<StoredSpanEntry>> {
        self.faults.read(self.inner.spans_by_id(scope, span_ids)).await
    }
    async fn assertions(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        order: AssertionOrder,
        limit: usize,
    ) -> Result<Vec<StoredAssertion>> {
        self.faults
            .read(self.inner.assertions(scope, filter, order, limit))
            .await
    }
    async fn assertion_vectors(
        &self,
        scope: &TenantScope,
        filter: &AssertionFilter,
        model: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredVector>> {
        self.faults
            .read(self.inner.assertion_vectors(scope, filter, model, after, limit))
            .await
    }
    async fn assertions_at(&self, scope: &TenantScope, seqs: &[i64]) -> Result<Vec<StoredAssertion>> {
        self.faults.read(self.inner.assertions_at(scope, seqs)).await
    }
    async fn has_assertions(&self, scope: &TenantScope) -> Result<bool> {
        self.faults.read(self.inner.has_assertions(scope)).await
    }
}
