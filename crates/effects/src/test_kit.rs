//! What tests of handlers stand on: a store that holds documents and artifacts and refuses the rest, a directory of
//! scripted models, and a run.

use std::collections::HashMap;
use std::sync::Arc;

use ag_artifacts::{MemoryBlobs, NewArtifact};
use ag_kernel::{EffectRequest, OpenEffect};
use ag_providers::fake::{FakeChat, Step};
use ag_providers::{
    CapabilityTable, EndpointOrigin, ModelCatalogue, ModelResidency, ProviderClient, ProviderDirectory,
    ProviderEndpoint, ProviderError, ProviderQuery, family, unknown_provider,
};
use ag_store::*;
use ag_types::*;
use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use crate::{EffectCtx, ResolvedWorkflow, WorkflowDirectory, artifacts::store_artifact};

/// Documents and artifacts in memory.
#[derive(Default)]
pub(crate) struct TestStore {
    documents: Mutex<HashMap<(PlaneId, DocumentKind, String), Document>>,
    generations: Mutex<HashMap<PlaneId, i64>>,
    artifacts: Mutex<Vec<ArtifactRow>>,
    /// Calls of [`Documents::documents`].
    pub(crate) reads: Mutex<usize>,
}

fn refused<T>() -> Result<T> {
    Err(StoreError::Unavailable("not part of this test".to_owned()))
}

#[async_trait]
impl Documents for TestStore {
    async fn generation(&self, scope: &TenantScope) -> Result<i64> {
        Ok(self.generations.lock().get(&scope.plane).copied().unwrap_or(0))
    }
    async fn document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<Option<Document>> {
        Ok(self.documents.lock().get(&(scope.plane, kind, id.to_owned())).cloned())
    }
    async fn documents(&self, scope: &TenantScope, kind: DocumentKind) -> Result<(i64, Vec<Document>)> {
        *self.reads.lock() += 1;
        let generation = self.generation(scope).await?;
        let documents = self.documents.lock();
        let mine = documents.iter().filter(|((plane, k, _), _)| *plane == scope.plane && *k == kind);
        Ok((generation, mine.map(|(_, document)| document.clone()).collect()))
    }
    async fn put_document(
        &self,
        scope: &TenantScope,
        kind: DocumentKind,
        document: Document,
        _mode: PutMode,
    ) -> Result<PutOutcome> {
        self.documents.lock().insert((scope.plane, kind, document.id.clone()), document);
        let mut generations = self.generations.lock();
        let generation = generations.entry(scope.plane).or_default();
        *generation += 1;
        Ok(PutOutcome::Written { generation: *generation })
    }
    async fn delete_document(&self, scope: &TenantScope, kind: DocumentKind, id: &str) -> Result<bool> {
        *self.generations.lock().entry(scope.plane).or_default() += 1;
        Ok(self.documents.lock().remove(&(scope.plane, kind, id.to_owned())).is_some())
    }
}

#[async_trait]
impl ArtifactIndex for TestStore {
    async fn put_artifact(&self, _: &TenantScope, row: ArtifactRow) -> Result<()> {
        self.artifacts.lock().push(row);
        Ok(())
    }
    async fn artifact(&self, _: &TenantScope, artifact_id: &str) -> Result<Option<ArtifactRow>> {
        Ok(self.artifacts.lock().iter().find(|row| row.artifact_id == artifact_id).cloned())
    }
    async fn artifacts(&self, _: &TenantScope, filter: ArtifactFilter) -> Result<Vec<ArtifactRow>> {
        let rows = self.artifacts.lock();
        let mine = |row: &&ArtifactRow| row.run_id.as_ref().is_some_and(|run| filter.run_ids.contains(run));
        Ok(rows.iter().rev().filter(mine).cloned().collect())
    }
    async fn update_artifact_meta(&self, _: &TenantScope, _: &str, _: &str) -> Result<bool> {
        refused()
    }
    async fn delete_artifacts_of(&self, _: &TenantScope, _: &[String]) -> Result<(u64, Vec<String>)> {
        refused()
    }
}

#[async_trait]
impl RunStore for TestStore {
    async fn start(&self, _: &TenantScope, _: Start) -> Result<StartOutcome> {
        refused()
    }
    async fn open_session(&self, _: &SystemScope, _: NewSession) -> Result<()> {
        refused()
    }
    async fn renew_session(&self, _: &SystemScope, _: SessionId) -> Result<bool> {
        refused()
    }
    async fn close_session(&self, _: &SystemScope, _: SessionId, _: bool) -> Result<Vec<Woken>> {
        refused()
    }
    async fn claim(&self, _: &SystemScope, _: SessionId, _: &[RunKey], _: &[(RunKey, i32)]) -> Result<Claim> {
        refused()
    }
    async fn release(&self, _: &SystemScope, _: SessionId, _: RunKey, _: i64) -> Result<bool> {
        refused()
    }
    async fn commit(&self, _: &SystemScope, _: Commit) -> Result<CommitOutcome> {
        refused()
    }
    async fn read_mail(&self, _: &SystemScope, _: RunKey, _: i64) -> Result<Vec<Mail>> {
        refused()
    }
    async fn candidates(&self, _: &SystemScope, _: CandidateQuery) -> Result<Vec<RunKey>> {
        refused()
    }
    async fn beat(&self, _: &SystemScope, _: SessionId, _: &str) -> Result<Beat> {
        refused()
    }
    async fn sweep(&self, _: &SystemScope, _: Sweep) -> Result<Vec<Woken>> {
        refused()
    }
    async fn append_to_terminal(&self, _: &TenantScope, _: RunId, _: &[String]) -> Result<Option<i64>> {
        refused()
    }
    async fn purge_runs(&self, _: &TenantScope, _: &[RunId]) -> Result<(u64, u64, u64)> {
        refused()
    }
}

#[async_trait]
impl RunReads for TestStore {
    async fn run(&self, _: &TenantScope, _: RunId) -> Result<Option<RunRow>> {
        refused()
    }
    async fn runs(&self, _: &TenantScope, _: RunFilter) -> Result<Vec<RunListRow>> {
        refused()
    }
    async fn children(&self, _: &TenantScope, _: RunId) -> Result<Vec<RelatedRun>> {
        refused()
    }
    async fn descendants(&self, _: &TenantScope, _: RunId, _: usize) -> Result<Vec<RelatedRun>> {
        refused()
    }
    async fn live_below(&self, _: &TenantScope, _: RunId) -> Result<Vec<RunId>> {
        refused()
    }
    async fn ledger(&self, _: &TenantScope, _: RunId, _: i64, _: usize) -> Result<Option<LedgerPage>> {
        refused()
    }
    async fn tails(&self, _: &SystemScope, _: &[RunKey]) -> Result<Vec<Tail>> {
        refused()
    }
    async fn listeners(&self, _: &TenantScope, _: &str) -> Result<Vec<Listener>> {
        refused()
    }
    async fn session_listeners(&self, _: &TenantScope, _: &str, _: usize) -> Result<Vec<Listener>> {
        refused()
    }
}

#[async_trait]
impl CommandStore for TestStore {
    async fn post_command(&self, _: &TenantScope, _: NewCommand) -> Result<PostOutcome> {
        refused()
    }
    async fn command(&self, _: &TenantScope, _: &str) -> Result<Option<CommandRow>> {
        refused()
    }
}

#[async_trait]
impl OwnerStore for TestStore {
    async fn ensure_owner(&self, _: &TenantScope, _: OwnerRow) -> Result<OwnerRow> {
        refused()
    }
    async fn owner(&self, _: &TenantScope, _: &str) -> Result<Option<OwnerRow>> {
        refused()
    }
}

#[async_trait]
impl Planes for TestStore {
    async fn plane(&self, _: &SystemScope, _: &PlaneKey) -> Result<TenantScope> {
        refused()
    }
    async fn plane_by_id(&self, _: &SystemScope, _: PlaneId) -> Result<Option<TenantScope>> {
        refused()
    }
    async fn planes(&self, _: &SystemScope) -> Result<Vec<TenantScope>> {
        refused()
    }
}

/// A query as a directory saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenQuery {
    pub(crate) plane: String,
    pub(crate) provider: String,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) origin: EndpointOrigin,
}

/// Leads every known family, and `endpoint:team`, to one scripted model.
#[derive(Default)]
pub(crate) struct TestDirectory {
    pub(crate) chat: Arc<FakeChat>,
    pub(crate) catalogue: Option<Arc<dyn ModelCatalogue>>,
    pub(crate) residency: Option<Arc<dyn ModelResidency>>,
    pub(crate) allowed_models: Vec<String>,
    pub(crate) queries: Mutex<Vec<SeenQuery>>,
}

#[async_trait]
impl ProviderDirectory for TestDirectory {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        let name = if query.provider == "endpoint:team" { "vllm" } else { query.provider };
        let family = family(name).ok_or_else(|| unknown_provider(query.provider))?;
        self.queries.lock().push(SeenQuery {
            plane: query.plane.to_owned(),
            provider: query.provider.to_owned(),
            base_url: query.base_url.map(str::to_owned),
            api_key: query.api_key.map(|key| key.expose_secret().to_owned()),
            origin: query.origin,
        });
        let endpoint = Arc::new(ProviderEndpoint {
            provider: query.provider.to_owned(),
            family,
            base_url: "http://fake/v1".to_owned(),
            api_key: None,
            origin: query.origin,
            headers: Vec::new(),
            allowed_models: self.allowed_models.clone(),
            timeout: std::time::Duration::from_secs(5),
        });
        Ok(ProviderClient {
            endpoint,
            chat: self.chat.clone(),
            embedder: None,
            images: None,
            speech: None,
            transcriber: None,
            catalogue: self.catalogue.clone(),
            residency: self.residency.clone(),
        })
    }
}

struct NoWorkflows;

#[async_trait]
impl WorkflowDirectory for NoWorkflows {
    async fn resolve(
        &self,
        _: &TenantScope,
        _: &str,
        _: Option<&str>,
    ) -> Result<Option<ResolvedWorkflow>, String> {
        Ok(None)
    }
}

/// A gateway with one run.
pub(crate) struct World {
    pub(crate) scope: TenantScope,
    pub(crate) run: RunState,
    pub(crate) store: Arc<TestStore>,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) directory: Arc<TestDirectory>,
    pub(crate) levels: RouteLevels,
    pub(crate) cancel: CancellationToken,
}

impl World {
    /// A world whose model follows a script.
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self::with(TestDirectory { chat: Arc::new(FakeChat::new(steps)), ..TestDirectory::default() })
    }

    pub(crate) fn with(directory: TestDirectory) -> Self {
        let vars = json!({
            "_runtime": {"provider": "openai-compatible", "model": "gpt-4o-mini"},
            "_limits": {"max_output_tokens": 16000, "max_input_tokens": null},
        });
        let head = RunHead {
            run_id: RunId(SystemIds.uuid()),
            workflow_id: "b@1:main".into(),
            actor_id: Some("gateway".into()),
            session_id: Some("s1".into()),
            parent_run_id: None,
            created_at: SystemClock.now(),
        };
        let run = RunState {
            head,
            status: RunStatus::Running,
            current_node: "llm".to_owned(),
            vars: object(vars),
            waiting: None,
            output: None,
            error: None,
            updated_at: SystemClock.now(),
        };
        Self {
            scope: TenantScope::root(),
            run,
            store: Arc::default(),
            blobs: MemoryBlobs::default(),
            directory: Arc::new(directory),
            levels: RouteLevels::Single,
            cancel: CancellationToken::new(),
        }
    }

    /// Sets a run variable.
    pub(crate) fn var(mut self, path: &str, value: Value) -> Self {
        ag_kernel::vars::set_path(&mut self.run.vars, path, value);
        self
    }

    pub(crate) fn routes(&self) -> Arc<CapabilityRoutes> {
        let table = Arc::new(CapabilityTable::built_in());
        Arc::new(CapabilityRoutes::new(self.store.clone(), table, Arc::new(SystemClock), self.levels, None))
    }

    pub(crate) fn resolver(&self) -> ModelResolver {
        ModelResolver::new(self.routes(), self.directory.clone())
    }

    /// Stores an artifact and returns its id.
    pub(crate) async fn artifact(&self, content_type: &str, tags: &[(&str, &str)], data: &[u8], owner: &str) -> String {
        let new = NewArtifact {
            run_id: Some(owner.to_owned()),
            content_type: content_type.to_owned(),
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..NewArtifact::default()
        };
        let data = bytes::Bytes::copy_from_slice(data);
        let stored = store_artifact(&self.blobs, &self.scope, new, data, SystemClock.now()).await;
        let (meta, row) = stored.expect("stored");
        self.store.put_artifact(&self.scope, row).await.expect("stored");
        meta.artifact_id
    }

    pub(crate) fn ctx(&self) -> EffectCtx<'_> {
        EffectCtx {
            scope: &self.scope,
            run: &self.run,
            bundle_sha256: None,
            outbound_key: "run/llm/1".to_owned(),
            cancel: self.cancel.clone(),
            store: &*self.store,
            blobs: &self.blobs,
            workflows: &NoWorkflows,
            clock: &SystemClock,
            ids: &SystemIds,
        }
    }
}

pub(crate) fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

/// A request of node `llm`.
pub(crate) fn request(kind: EffectKind, payload: Value) -> EffectRequest {
    EffectRequest {
        open: OpenEffect {
            node_id: "llm".to_owned(),
            kind,
            payload: object(payload),
            result_key: None,
            next_node: None,
            step_id: SystemIds.step_id(),
            key: "k".to_owned(),
            visit: 1,
            attempt: 1,
            started_at: SystemClock.now(),
            called: true,
        },
    }
}
