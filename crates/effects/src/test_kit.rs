//! What tests of handlers stand on: a store in memory, a directory of scripted models, and a run.

use std::sync::Arc;

use ag_artifacts::{MemoryBlobs, NewArtifact};
use ag_kernel::{EffectRequest, OpenEffect};
use ag_providers::fake::{FakeChat, FakeMedia, Step};
use ag_providers::{
    CapabilityTable, Embedder, EndpointOrigin, ModelCatalogue, ModelResidency, ProviderClient,
    ProviderDirectory, ProviderEndpoint, ProviderError, ProviderQuery, Transcriber, family, unknown_provider,
};
use ag_store::{ArtifactIndex, fake::FakeStore};
use ag_types::{
    Clock, EffectKind, IdGen, Object, RunHead, RunId, RunState, RunStatus, SystemClock, SystemIds,
    TenantScope,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::routes::{CapabilityRoutes, ModelResolver, RouteLevels};
use crate::{EffectCtx, Failure, ResolvedWorkflow, WorkflowDirectory, artifacts::store_artifact};

/// A query as a directory saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenQuery {
    pub(crate) plane: String,
    pub(crate) provider: String,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) origin: EndpointOrigin,
}

/// Leads every known family, and `endpoint:team`, to one scripted model; `endpoint:away` cannot be read.
#[derive(Default)]
pub(crate) struct TestDirectory {
    pub(crate) chat: Arc<FakeChat>,
    pub(crate) catalogue: Option<Arc<dyn ModelCatalogue>>,
    pub(crate) residency: Option<Arc<dyn ModelResidency>>,
    pub(crate) transcriber: Option<Arc<dyn Transcriber>>,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) media: Option<Arc<FakeMedia>>,
    pub(crate) allowed_models: Vec<String>,
    pub(crate) queries: Mutex<Vec<SeenQuery>>,
}

#[async_trait]
impl ProviderDirectory for TestDirectory {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        if query.provider == "endpoint:away" {
            return Err(ProviderError::ConnectionsUnreadable);
        }
        let name = if query.provider == "endpoint:team" {
            "vllm"
        } else {
            query.provider
        };
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
        let mut client = ProviderClient {
            transcriber: self.transcriber.clone(),
            embedder: self.embedder.clone(),
            catalogue: self.catalogue.clone(),
            residency: self.residency.clone(),
            ..ProviderClient::new(endpoint, self.chat.clone())
        };
        if let Some(media) = &self.media {
            client.images = Some(media.clone());
            client.speech = Some(media.clone());
            client.transcriber = Some(media.clone());
            // Only servers of this family do what the common protocol does not.
            if family.name == "vllm" {
                client.upscaler = Some(media.clone());
                client.videos = Some(media.clone());
                client.music = Some(media.clone());
            }
        }
        Ok(client)
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
    ) -> Result<Option<ResolvedWorkflow>, Failure> {
        Ok(None)
    }
}

/// A gateway with one run.
pub(crate) struct World {
    pub(crate) scope: TenantScope,
    pub(crate) run: RunState,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) directory: Arc<TestDirectory>,
    pub(crate) levels: RouteLevels,
    pub(crate) cancel: CancellationToken,
}

impl World {
    /// A world whose model follows a script.
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self::with(TestDirectory {
            chat: Arc::new(FakeChat::new(steps)),
            ..TestDirectory::default()
        })
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
            store: Arc::new(FakeStore::new(Arc::new(SystemClock))),
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
        Arc::new(CapabilityRoutes::new(
            self.store.clone(),
            table,
            Arc::new(SystemClock),
            self.levels,
            None,
        ))
    }

    pub(crate) fn resolver(&self) -> ModelResolver {
        ModelResolver::new(self.routes(), self.directory.clone())
    }

    /// Stores an artifact and returns its id.
    pub(crate) async fn artifact(
        &self,
        content_type: &str,
        tags: &[(&str, &str)],
        data: &[u8],
        owner: &str,
    ) -> String {
        let new = NewArtifact {
            run_id: Some(owner.to_owned()),
            content_type: content_type.to_owned(),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
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
            depth: 0,
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
            progress: crate::Progress::default(),
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
