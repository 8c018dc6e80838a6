//! Which workflows exist and what they compile to.
//!
//! A run keeps executing the bundle it started with: its sha256 names the bytes, whatever is uploaded later
//! (difference X14). Compiled flows are cached by content hash; the registry of a plane is cached with the generation
//! it was read at, and a start that commits against an older generation is resolved again.

mod bundle;
mod directory;
mod registry;

use std::{collections::HashMap, sync::Arc};

use ag_artifacts::{BlobId, BlobStore};
use ag_bundles::{Bundle, IndexedVersion, Limits, Manifest, Package, namespace};
use ag_effects::artifacts::blob_scope;
use ag_kernel::Workflow;
use ag_store::{DocumentKind, Store, StoreError};
use ag_types::{PlaneId, TenantScope};
use ag_visualflow::{NodeCatalogue, Program};
use moka::sync::Cache;
use parking_lot::RwLock;
use serde_json::Value;

pub use bundle::LoadedBundle;
pub use registry::{BundleRecord, Deprecation, PlaneRegistry};

/// Start of the ids of agent loops.
const AGENT_PREFIX: &str = "visual_react_agent_";

/// Why a workflow cannot be had right now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkflowError {
    /// The registry cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes of a bundle cannot be read.
    #[error("bundle bytes {sha256}: {reason}")]
    Blob {
        /// Content hash.
        sha256: String,
        /// Why.
        reason: String,
    },
}

/// A workflow, or why there is none.
#[derive(Clone)]
pub enum Found {
    /// Here it is.
    Workflow(Arc<dyn Workflow>),
    /// It does not exist; the text says so to people.
    Missing(String),
}

/// Loads, compiles and caches workflows.
pub struct Workflows {
    store: Arc<dyn Store>,
    blobs: Arc<dyn BlobStore>,
    catalogue: Arc<dyn NodeCatalogue>,
    agent: Arc<dyn Workflow>,
    natives: HashMap<String, Arc<dyn Workflow>>,
    limits: Limits,
    planes: RwLock<HashMap<PlaneId, Arc<PlaneRegistry>>>,
    bundles: Cache<(PlaneId, Arc<str>), Arc<LoadedBundle>>,
    programs: Cache<(Arc<str>, Arc<str>), Arc<Program>>,
}

impl Workflows {
    /// A registry over a store. `agent` is the loop behind `visual_react_agent_*` ids.
    pub fn new(
        store: Arc<dyn Store>,
        blobs: Arc<dyn BlobStore>,
        catalogue: Arc<dyn NodeCatalogue>,
        agent: Arc<dyn Workflow>,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            blobs,
            catalogue,
            agent,
            natives: crate::facade::natives(),
            limits,
            planes: RwLock::default(),
            bundles: Cache::new(256),
            programs: Cache::new(4_096),
        }
    }

    /// Adds a workflow that is code.
    pub fn with_native(mut self, id: &'static str, workflow: Arc<dyn Workflow>) -> Self {
        self.natives.insert(id.to_owned(), workflow);
        self
    }

    /// Limits for reading bundles.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The registry of a plane as this process last saw it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn registry(&self, scope: &TenantScope) -> Result<Arc<PlaneRegistry>, StoreError> {
        if let Some(known) = self.planes.read().get(&scope.plane) {
            return Ok(known.clone());
        }
        self.reload(scope).await
    }

    /// The registry of a plane as it is stored now; costs one small read when nothing changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn current(&self, scope: &TenantScope) -> Result<Arc<PlaneRegistry>, StoreError> {
        let generation = self.store.generation(scope).await?;
        let known = self.planes.read().get(&scope.plane).cloned();
        match known {
            Some(known) if known.generation == generation => Ok(known),
            _ => self.reload(scope).await,
        }
    }

    /// Reads the registry of a plane anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reload(&self, scope: &TenantScope) -> Result<Arc<PlaneRegistry>, StoreError> {
        let (_, deprecated) = self.store.documents(scope, DocumentKind::Deprecation).await?;
        // Read last: its generation is not newer than what was read before, so a change in between is noticed.
        let (generation, bundles) = self.store.documents(scope, DocumentKind::Bundle).await?;
        let mut registry = PlaneRegistry {
            generation,
            ..PlaneRegistry::default()
        };
        for document in bundles {
            let record: Option<BundleRecord> = serde_json::from_str(&document.body).ok();
            let manifest = record
                .as_ref()
                .and_then(|record| Manifest::from_value(&record.manifest).ok());
            let (Some(record), Some(manifest)) = (record, manifest) else {
                tracing::warn!(bundle = document.id, "skipping an unreadable bundle row");
                registry
                    .broken
                    .insert(document.id, "unreadable registry row".to_owned());
                continue;
            };
            match record.load_error {
                Some(error) => {
                    registry.broken.insert(manifest.bundle_ref(), error);
                }
                None => {
                    let id = manifest.bundle_id.clone();
                    registry.index.insert(
                        &id,
                        IndexedVersion {
                            manifest: Arc::new(manifest),
                            sha256: record.sha256,
                        },
                    );
                }
            }
        }
        for document in deprecated {
            let key = document
                .id
                .split_once('\n')
                .map(|(bundle, flow)| (bundle.to_owned(), flow.to_owned()));
            if let (Some(key), Ok(deprecation)) = (key, serde_json::from_str(&document.body)) {
                registry.deprecations.insert(key, deprecation);
            }
        }
        let registry = Arc::new(registry);
        self.planes.write().insert(scope.plane, registry.clone());
        Ok(registry)
    }

    /// A bundle by content hash.
    ///
    /// # Errors
    /// [`WorkflowError::Blob`] when its bytes are missing or damaged.
    pub async fn bundle(
        &self,
        scope: &TenantScope,
        sha256: &str,
    ) -> Result<Arc<LoadedBundle>, WorkflowError> {
        let key = (scope.plane, Arc::<str>::from(sha256));
        if let Some(known) = self.bundles.get(&key) {
            return Ok(known);
        }
        let fail = |reason: String| WorkflowError::Blob {
            sha256: sha256.to_owned(),
            reason,
        };
        let blob = BlobId::parse(sha256).ok_or_else(|| fail("not a content hash".to_owned()))?;
        let bytes = self
            .blobs
            .get(&blob_scope(scope), &blob)
            .await
            .map_err(|error| fail(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| fail("missing".to_owned()))?;
        let package = Package::open(bytes, sha256, &self.limits).map_err(|error| fail(error.to_string()))?;
        let bundle = package.load().map_err(|error| fail(error.to_string()))?;
        let loaded = Arc::new(LoadedBundle::new(bundle));
        self.bundles.insert(key, loaded.clone());
        Ok(loaded)
    }

    /// The executable form of a workflow id for a run that keeps `sha256`.
    ///
    /// # Errors
    /// [`WorkflowError`] when the registry or the bytes cannot be read (try again later).
    pub async fn get(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        sha256: Option<&str>,
    ) -> Result<Found, WorkflowError> {
        if workflow_id.starts_with(AGENT_PREFIX) {
            return Ok(Found::Workflow(self.agent.clone()));
        }
        if let Some(native) = self.natives.get(workflow_id) {
            return Ok(Found::Workflow(native.clone()));
        }
        let found = match sha256 {
            Some(sha256) => self.of_bundle(scope, workflow_id, sha256).await?,
            None => self.dynamic(scope, workflow_id).await?,
        };
        Ok(match found {
            Some(Ok(program)) => Found::Workflow(program),
            Some(Err(reason)) => Found::Missing(reason),
            None => Found::Missing(format!("Workflow '{workflow_id}' not found in registry")),
        })
    }

    async fn of_bundle(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        sha256: &str,
    ) -> Result<Option<Result<Arc<Program>, String>>, WorkflowError> {
        let key = (Arc::<str>::from(sha256), Arc::<str>::from(workflow_id));
        if let Some(known) = self.programs.get(&key) {
            return Ok(Some(Ok(known)));
        }
        let loaded = self.bundle(scope, sha256).await?;
        let Some((flow, entry)) = loaded.locate(workflow_id) else {
            return Ok(None);
        };
        let compiled = self.compile(&loaded.bundle, &flow, entry.as_deref());
        if let Ok(program) = &compiled {
            self.programs.insert(key, program.clone());
        }
        Ok(Some(compiled))
    }

    async fn dynamic(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
    ) -> Result<Option<Result<Arc<Program>, String>>, WorkflowError> {
        let plane: Arc<str> = format!("plane {}", scope.plane.0).into();
        let key = (plane, Arc::<str>::from(workflow_id));
        if let Some(known) = self.programs.get(&key) {
            return Ok(Some(Ok(known)));
        }
        let Some(document) = self
            .store
            .document(scope, DocumentKind::DynamicFlow, workflow_id)
            .await?
        else {
            return Ok(None);
        };
        let mut flow: Value = serde_json::from_str(&document.body).map_err(|error| StoreError::Corrupt {
            what: "dynamic flow",
            detail: error.to_string(),
        })?;
        crate::schedule::wire_interval(&mut flow);
        let compiled = ag_visualflow::compile(&flow, workflow_id, &*self.catalogue, None)
            .map(Arc::new)
            .map_err(|error| error.to_string());
        if let Ok(program) = &compiled {
            self.programs.insert(key, program.clone());
        }
        Ok(Some(compiled))
    }

    /// Compiles one flow of a bundle; `entry` makes it the listener of an `on_event` node.
    fn compile(&self, bundle: &Bundle, flow: &str, entry: Option<&str>) -> Result<Arc<Program>, String> {
        let document = bundle
            .flow(flow)
            .ok_or_else(|| format!("flow '{flow}' not found"))?;
        let bundle_ref = bundle.manifest().bundle_ref();
        let siblings = bundle.flows().keys().map(String::as_str);
        let namespaced = namespace::namespaced(document, &bundle_ref, flow, siblings);
        let id = namespace::workflow_id(&bundle_ref, flow);
        ag_visualflow::compile(&Value::Object(namespaced), &id, &*self.catalogue, entry)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }

    /// Compiles every flow of a bundle, as a load of it would.
    ///
    /// # Errors
    /// The first compile error, naming the flow.
    pub fn check(&self, bundle: &Bundle) -> Result<(), String> {
        let bundle_ref = bundle.manifest().bundle_ref();
        for flow in bundle.flows().keys() {
            let named = |reason: String| {
                let id = namespace::workflow_id(&bundle_ref, flow);
                format!("Failed compiling VisualFlow '{id}': {reason}")
            };
            let program = self.compile(bundle, flow, None).map_err(named)?;
            for node in program.listeners() {
                self.compile(bundle, flow, Some(node)).map_err(named)?;
            }
        }
        Ok(())
    }

    /// Workflow ids of the listeners that a start of this flow starts with it.
    ///
    /// # Errors
    /// [`WorkflowError`].
    pub async fn listeners(
        &self,
        scope: &TenantScope,
        workflow_id: &str,
        sha256: &str,
    ) -> Result<Arc<[String]>, WorkflowError> {
        let loaded = self.bundle(scope, sha256).await?;
        let Some((flow, _)) = loaded.locate(workflow_id) else {
            return Ok(Arc::default());
        };
        Ok(loaded.by_flow.get(&flow).cloned().unwrap_or_default())
    }
}
