//! The write side of the registry: a package becomes a blob and a row.

use std::{collections::HashSet, sync::Arc};

use ag_artifacts::{BlobError, BlobStore};
use ag_bundles::{InstallError, Limits, Package, inspect_upload, install_name};
use ag_effects::artifacts::blob_scope;
use ag_engine::{
    Deps, Workflows,
    workflows::{BundleRecord, PlaneRegistry},
};
use ag_store::{Document, DocumentKind, PutMode, PutOutcome, Store, StoreError};
use ag_types::{TenantScope, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::flows_dir::FlowsDir;
use crate::{ApiError, CallContext, error::status_of};

/// What error texts call a file that came over the wire.
pub(crate) const UPLOAD: &str = "<upload>";

/// Where a row comes from; decides what a scan of the bundle folder may remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// A client sent it and no folder is configured.
    #[default]
    Upload,
    /// It lies in the bundle folder.
    FlowsDir,
    /// It came with the gateway.
    Shipped,
}

/// A bundle row: the registry's record and where it comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredBundle {
    #[serde(flatten)]
    pub(crate) record: BundleRecord,
    #[serde(default)]
    pub(crate) source: Source,
}

/// Start of the ids of documents that say which shipped bundles somebody has removed: they stay away.
const REMOVED: &str = "removed-bundle:";

/// Why a bundle could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallFailure {
    #[error(transparent)]
    Refused(#[from] InstallError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("a blocking task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl From<InstallFailure> for ApiError {
    fn from(failure: InstallFailure) -> Self {
        match failure {
            InstallFailure::Refused(error) => Self::new(status_of(error.status()), error.to_string()),
            InstallFailure::Store(error) => error.into(),
            InstallFailure::Blob(_) | InstallFailure::Task(_) => {
                Self::internal("installing a bundle", &failure)
            }
        }
    }
}

/// Installs bundles into one plane.
pub(crate) struct Installer {
    pub(super) store: Arc<dyn Store>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) scope: TenantScope,
    blobs: Arc<dyn BlobStore>,
    now: Timestamp,
    dir: Option<FlowsDir>,
    /// Largest upload in bytes (`MAX_BUNDLE_BYTES`).
    max_bytes: u64,
}

impl Installer {
    /// For the caller's plane. The bundle folder belongs to the root plane of an embedded gateway.
    pub(crate) fn of(ctx: &CallContext) -> Self {
        Self {
            store: ctx.store_arc(),
            workflows: ctx.workflows_arc(),
            scope: ctx.scope().clone(),
            blobs: ctx.blobs().clone(),
            now: ctx.now(),
            dir: FlowsDir::of(ctx.state().config(), ctx.scope()),
            max_bytes: ctx.state().config().limits.max_bundle_bytes,
        }
    }

    /// For start-up work.
    pub(super) fn new(deps: &Deps, scope: &TenantScope, dir: Option<FlowsDir>) -> Self {
        Self {
            store: deps.store.clone(),
            workflows: deps.workflows.clone(),
            scope: scope.clone(),
            blobs: deps.blobs.clone(),
            now: deps.clock.now(),
            dir,
            max_bytes: deps.workflows.limits().max_archive_bytes,
        }
    }

    /// The bundle folder, where there is one.
    pub(super) fn dir(&self) -> Option<&FlowsDir> {
        self.dir.as_ref()
    }

    /// Checks uploaded bytes completely.
    ///
    /// # Errors
    /// [`InstallFailure::Refused`] with the contract's text.
    pub(crate) async fn inspect(&self, bytes: Bytes) -> Result<Package, InstallFailure> {
        let limits = Limits {
            max_archive_bytes: self.max_bytes,
            ..self.workflows.limits().clone()
        };
        let inspected = tokio::task::spawn_blocking(move || inspect_upload(bytes, UPLOAD, &limits)).await?;
        Ok(inspected?)
    }

    /// Installs a checked package: file (embedded), blob, row. Returns why its flows cannot be used, if so.
    ///
    /// # Errors
    /// [`InstallFailure`]; a bundle that does not compile is installed and no error.
    pub(crate) async fn install(
        &self,
        package: Package,
        overwrite: bool,
    ) -> Result<Option<String>, InstallFailure> {
        let (id, version) = (&package.manifest().bundle_id, &package.manifest().bundle_version);
        let name = install_name(id, version)?;
        let reference = package.manifest().bundle_ref();
        if !overwrite && self.row(&reference).await?.is_some() {
            return Err(InstallError::AlreadyInstalled(name).into());
        }
        let mut source = Source::Upload;
        if let Some(dir) = self.dir.clone() {
            let (file, bytes) = (name.clone(), package.bytes().clone());
            match tokio::task::spawn_blocking(move || dir.write(&file, &bytes)).await? {
                Ok(true) => source = Source::FlowsDir,
                Ok(false) => {}
                // The row is the truth; the file is a copy for people.
                Err(error) => tracing::warn!(error = %error, bundle = reference, "bundle file not written"),
            }
        }
        let (stored, package) = self.checked(package, source).await?;
        let mode = if overwrite {
            PutMode::Upsert
        } else {
            PutMode::Create
        };
        match self.put(&package, &stored, mode).await? {
            PutOutcome::Exists => Err(InstallError::AlreadyInstalled(name).into()),
            PutOutcome::Written { .. } | PutOutcome::Missing => Ok(stored.record.load_error),
        }
    }

    /// The row for a package: loads and compiles every flow.
    pub(super) async fn checked(
        &self,
        package: Package,
        source: Source,
    ) -> Result<(StoredBundle, Package), InstallFailure> {
        let workflows = self.workflows.clone();
        let (load_error, package) = tokio::task::spawn_blocking(move || {
            let checked = match package.load() {
                Ok(bundle) => workflows.check(&bundle).err(),
                Err(error) => Some(error.to_string()),
            };
            (checked, package)
        })
        .await?;
        let record = BundleRecord {
            sha256: package.sha256().to_owned(),
            // Text keys and plain values: this always serialises.
            manifest: serde_json::to_value(package.manifest()).unwrap_or_default(),
            load_error,
        };
        Ok((StoredBundle { record, source }, package))
    }

    /// Blob first, then the row that names it.
    pub(super) async fn put(
        &self,
        package: &Package,
        stored: &StoredBundle,
        mode: PutMode,
    ) -> Result<PutOutcome, InstallFailure> {
        self.blobs
            .put(&blob_scope(&self.scope), package.bytes().clone())
            .await?;
        let document = Document {
            id: package.manifest().bundle_ref(),
            body: serde_json::to_string(stored).unwrap_or_default(),
            updated_at: self.now,
        };
        Ok(self
            .store
            .put_document(&self.scope, DocumentKind::Bundle, document, mode)
            .await?)
    }

    async fn row(&self, reference: &str) -> Result<Option<Document>, StoreError> {
        self.store
            .document(&self.scope, DocumentKind::Bundle, reference)
            .await
    }

    /// All rows that can be read, by `id@version`.
    pub(crate) async fn rows(&self) -> Result<Vec<(String, StoredBundle)>, StoreError> {
        let (_, documents) = self.store.documents(&self.scope, DocumentKind::Bundle).await?;
        let rows = documents.into_iter().filter_map(|document| {
            let stored = serde_json::from_str(&document.body);
            stored.map(|stored| (document.id, stored)).ok()
        });
        Ok(rows.collect())
    }

    /// Removes one version of a bundle, or all, with their files; returns how many there were.
    pub(super) async fn remove(
        &self,
        bundle_id: &str,
        version: Option<&str>,
    ) -> Result<usize, InstallFailure> {
        let (_, documents) = self.store.documents(&self.scope, DocumentKind::Bundle).await?;
        let mut removed = 0;
        for document in documents {
            let Some((id, found)) = document.id.split_once('@') else {
                continue;
            };
            if id != bundle_id || version.is_some_and(|version| version != found) {
                continue;
            }
            if let Some(dir) = self.dir.clone() {
                let (id, version, limits) =
                    (id.to_owned(), found.to_owned(), self.workflows.limits().clone());
                tokio::task::spawn_blocking(move || dir.remove(&id, &version, &limits)).await?;
            }
            let stored = serde_json::from_str::<StoredBundle>(&document.body);
            if stored.is_ok_and(|stored| stored.source == Source::Shipped) {
                // First the note: cut off in between, the removal is repeated and not undone.
                self.note_removal(version.map_or(bundle_id, |_| &document.id))
                    .await?;
            }
            if self
                .store
                .delete_document(&self.scope, DocumentKind::Bundle, &document.id)
                .await?
            {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Keeps a shipped bundle, or one version of it, from being installed again at the next start.
    async fn note_removal(&self, reference: &str) -> Result<(), StoreError> {
        let note = Document {
            id: format!("{REMOVED}{reference}"),
            body: "{}".to_owned(),
            updated_at: self.now,
        };
        self.store
            .put_document(&self.scope, DocumentKind::Installation, note, PutMode::Upsert)
            .await?;
        Ok(())
    }

    /// Shipped bundles that somebody has removed: ids, or `id@version`.
    pub(super) async fn removed(&self) -> Result<HashSet<String>, StoreError> {
        let (_, notes) = self
            .store
            .documents(&self.scope, DocumentKind::Installation)
            .await?;
        let removed = notes.iter().filter_map(|note| note.id.strip_prefix(REMOVED));
        Ok(removed.map(str::to_owned).collect())
    }

    /// The registry as it is stored now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn reload(&self) -> Result<Arc<PlaneRegistry>, StoreError> {
        self.workflows.reload(&self.scope).await
    }
}
