//! What is installed before the first request: the bundle folder, else the bundles that come with the gateway.

use std::{collections::HashSet, io, path::Path};

use ag_bundles::shipped::shipped_packages;
use ag_engine::Deps;
use ag_store::{DocumentKind, PutMode, StoreError};
use ag_types::TenantScope;

use super::{
    flows_dir::{self, FlowsDir},
    install::{InstallFailure, Installer, Source, StoredBundle},
};

/// Whether the bundles that come with the gateway are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShippedBundles {
    /// Install them where no folder is configured.
    Install,
    /// Install only what the folder holds.
    Skip,
}

/// Why the bundle folder could not be read. Single broken files are no error.
#[derive(Debug, thiserror::Error)]
pub enum FlowsDirError {
    /// The folder itself.
    #[error("the bundle folder cannot be read: {0}")]
    Folder(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else that stopped the scan.
    #[error("installing a bundle: {0}")]
    Install(String),
}

impl From<InstallFailure> for FlowsDirError {
    fn from(failure: InstallFailure) -> Self {
        match failure {
            InstallFailure::Store(error) => Self::Store(error),
            other => Self::Install(other.to_string()),
        }
    }
}

/// What a scan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowsDirReport {
    /// `id@version` of the bundles that were new or changed.
    pub installed: Vec<String>,
    /// `id@version` or file name → why it cannot be used.
    pub broken: Vec<(String, String)>,
    /// `id@version` of the bundles whose file is gone.
    pub removed: Vec<String>,
}

/// Installs the bundles of `dir` in the order of their file names; the first of a repeated `id@version` wins, and a
/// file that is no bundle is skipped with a log line. Rows whose file is gone are removed. Without `dir`, the bundles
/// that come with the gateway are installed if `shipped` says so, without those that somebody has removed or replaced.
///
/// Idempotent: nothing is written, and no generation rises, where nothing changed.
///
/// # Errors
/// [`FlowsDirError`].
pub async fn install_flows_dir(
    deps: &Deps,
    scope: &TenantScope,
    dir: Option<&Path>,
    shipped: ShippedBundles,
) -> Result<FlowsDirReport, FlowsDirError> {
    let installer = Installer::new(deps, scope, dir.map(FlowsDir::new));
    if dir.is_some() {
        return installer.scan().await;
    }
    let mut scan = Scan::new(&installer).await?;
    if shipped == ShippedBundles::Install {
        let removed = installer.removed().await?;
        for package in shipped_packages() {
            let manifest = package.manifest();
            let names = [manifest.bundle_id.clone(), manifest.bundle_ref()];
            if names.iter().any(|name| removed.contains(name)) || scan.is_uploaded(&names[1]) {
                continue;
            }
            scan.take(package, Source::Shipped).await?;
        }
    }
    Ok(scan.report)
}

impl Installer {
    /// Makes the rows agree with the bundle folder.
    pub(super) async fn scan(&self) -> Result<FlowsDirReport, FlowsDirError> {
        let Some(dir) = self.dir().cloned() else {
            return Ok(FlowsDirReport::default());
        };
        let listed = tokio::task::spawn_blocking(move || dir.ensure().and_then(|()| dir.files())).await;
        let files = listed.map_err(InstallFailure::from)??;
        let mut scan = Scan::new(self).await?;
        for path in files {
            let limits = self.workflows.limits().clone();
            let file = path.clone();
            let opened = tokio::task::spawn_blocking(move || flows_dir::open(&file, &limits)).await;
            match opened.map_err(InstallFailure::from)? {
                Ok(package) => scan.take(package, Source::FlowsDir).await?,
                Err(reason) => {
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    tracing::warn!(file = name, reason, "skipping a file that is no bundle");
                    scan.report.broken.push((name, reason));
                }
            }
        }
        scan.finish().await
    }
}

struct Scan<'a> {
    installer: &'a Installer,
    known: Vec<(String, StoredBundle)>,
    seen: HashSet<String>,
    report: FlowsDirReport,
}

impl<'a> Scan<'a> {
    async fn new(installer: &'a Installer) -> Result<Self, StoreError> {
        let known = installer.rows().await?;
        Ok(Self {
            installer,
            known,
            seen: HashSet::new(),
            report: FlowsDirReport::default(),
        })
    }

    /// Whether a client has installed this version.
    fn is_uploaded(&self, reference: &str) -> bool {
        let row = self.known.iter().find(|(id, _)| id == reference);
        row.is_some_and(|(_, row)| row.source == Source::Upload)
    }

    async fn take(&mut self, package: ag_bundles::Package, source: Source) -> Result<(), FlowsDirError> {
        let reference = package.manifest().bundle_ref();
        if !self.seen.insert(reference.clone()) {
            tracing::warn!(bundle = reference, "skipping a repeated bundle version");
            return Ok(());
        }
        // Compiled at every start: a newer build may know node types that an older one refused.
        let (stored, package) = self.installer.checked(package, source).await?;
        if let Some(reason) = &stored.record.load_error {
            tracing::warn!(bundle = reference, reason, "bundle installed but not usable");
            self.report.broken.push((reference.clone(), reason.clone()));
        }
        let row = self
            .known
            .iter()
            .find(|(id, _)| *id == reference)
            .map(|(_, row)| row);
        let same = row.is_some_and(|row| {
            row.record.sha256 == stored.record.sha256
                && row.record.load_error == stored.record.load_error
                && row.source == source
        });
        if !same {
            self.installer.put(&package, &stored, PutMode::Upsert).await?;
            self.report.installed.push(reference);
        }
        Ok(())
    }

    /// Drops rows whose file is gone, and the shipped ones, which a configured folder replaces.
    async fn finish(mut self) -> Result<FlowsDirReport, FlowsDirError> {
        let gone = self
            .known
            .iter()
            .filter(|(id, row)| row.source != Source::Upload && !self.seen.contains(id));
        for (id, _) in gone {
            let Installer { store, scope, .. } = self.installer;
            if store.delete_document(scope, DocumentKind::Bundle, id).await? {
                self.report.removed.push(id.clone());
            }
        }
        Ok(self.report)
    }
}
