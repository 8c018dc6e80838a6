//! Storing what a plan found.
//!
//! Order: bytes and documents, then runs with their ledgers, then heads, then commands that had not been applied,
//! then timers and readiness. Killed anywhere, a repeated import goes on where it stopped: what is stored is skipped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ag_auth::SecretBox;
use ag_effects::artifacts::blob_scope;
use ag_engine::{Deps, workflows::BundleRecord};
use ag_store::{Document, DocumentKind, ImportBatch, ImportStore};
use ag_types::{PlaneKey, SystemScope, TenantScope};
use serde_json::Value;

use super::{
    artifacts, commands,
    flows::Origin,
    paths::PathRewrite,
    plan::{Plan, PlanePlan},
    profiles,
    report::{Report, Stored},
    rows, source, wakes,
};
use crate::{ImportError, Progress};

const SCOPE: SystemScope = SystemScope::new("import");
/// Rows beside runs in one transaction.
const ROWS: usize = 500;
/// Crash point before each write to the target; its detail says what is written.
pub(super) const WRITE: &str = "import.write";

/// Where to.
#[derive(Clone)]
pub struct Target {
    /// Store, blobs and workflows of this gateway.
    pub deps: Arc<Deps>,
    /// Bulk writes of the same store.
    pub imports: Arc<dyn ImportStore>,
    /// Encrypts the keys of connections.
    pub secrets: Option<Arc<dyn SecretBox>>,
    /// Root of the workspaces.
    pub workspaces: PathBuf,
}

/// Stores what the plan found and says what was new.
///
/// # Errors
/// [`ImportError`]; what was stored until then stays, and a repeated import adds the rest.
pub async fn apply(plan: Plan, target: &Target, progress: Arc<dyn Progress>) -> Result<Report, ImportError> {
    if let Some(who) = target.imports.in_use(&SCOPE).await? {
        return Err(ImportError::TargetInUse(who));
    }
    let Plan {
        planes,
        mut report,
        _locks,
    } = plan;
    let mut stored = Stored::default();
    for plane in planes {
        let key = PlaneKey {
            tenant_id: plane.folder.tenant_id.as_str().into(),
            runtime_id: plane.folder.runtime_id.as_str().into(),
        };
        let scope = target.deps.store.plane(&SCOPE, &key).await?;
        let step = Step {
            plan: Arc::new(plane),
            scope,
            target: target.clone(),
            progress: progress.clone(),
        };
        step.run(&mut report, &mut stored).await?;
    }
    report.stored = Some(stored);
    Ok(report)
}

/// The import of one plane.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) plan: Arc<PlanePlan>,
    pub(super) scope: TenantScope,
    pub(super) target: Target,
    pub(super) progress: Arc<dyn Progress>,
}

impl Step {
    async fn run(&self, report: &mut Report, stored: &mut Stored) -> Result<(), ImportError> {
        self.bundles(stored).await?;
        self.documents(report, stored).await?;
        self.artifacts(report, stored).await?;
        let workspaces = self.workspaces().await?;
        stored.workspaces += workspaces;
        rows::store(self, report, stored).await?;
        self.graph(report, stored).await?;
        stored.live += wakes::heads(self).await?;
        commands::store(self, stored).await?;
        wakes::set_off(self).await
    }

    pub(super) fn paths(&self) -> PathRewrite {
        PathRewrite::new(&self.plan.folder.data, &self.target.workspaces)
    }

    async fn import(&self, batch: ImportBatch, stored: &mut Stored) -> Result<(), ImportError> {
        if !batch.is_empty() {
            ag_failpoints::hit_of(WRITE, &["rows"]);
            stored.rows += self.target.imports.import(&self.scope, batch).await?;
        }
        Ok(())
    }

    /// Blobs first, then the rows that name them. Bundles of other planes' folders are bytes only.
    async fn bundles(&self, stored: &mut Stored) -> Result<(), ImportError> {
        let deps = &self.target.deps;
        let mut batch = ImportBatch::default();
        for bundle in self.plan.flows.wanted() {
            let package = &bundle.package;
            let place = blob_scope(&self.scope);
            deps.blobs.put(&place, package.bytes().clone()).await?;
            if bundle.origin != Origin::Installed {
                continue;
            }
            let load_error = match package.load() {
                Ok(loaded) => deps.workflows.check(&loaded).err(),
                Err(error) => Some(error.to_string()),
            };
            let record = BundleRecord {
                sha256: package.sha256().to_owned(),
                manifest: serde_json::to_value(package.manifest()).unwrap_or_default(),
                load_error,
            };
            // Like an upload: a scan of the bundle folder does not remove it.
            let mut body = serde_json::to_value(&record).unwrap_or_default();
            body["source"] = Value::from("upload");
            batch.documents.push((
                DocumentKind::Bundle,
                Document {
                    id: package.manifest().bundle_ref(),
                    body: body.to_string(),
                    updated_at: deps.clock.now(),
                },
            ));
        }
        let before = stored.rows.documents;
        self.import(batch, stored).await?;
        stored.bundles += stored.rows.documents - before;
        stored.rows.documents = before;
        Ok(())
    }

    async fn documents(&self, report: &mut Report, stored: &mut Stored) -> Result<(), ImportError> {
        for chunk in self.plan.documents.chunks(ROWS) {
            let mut batch = ImportBatch::default();
            for found in chunk {
                let sealed = profiles::sealed(found, &self.scope.key, self.target.secrets.as_deref());
                let document = sealed.unwrap_or_else(|warning| {
                    report.warn(warning);
                    found.document.clone()
                });
                batch.documents.push((found.kind, document));
            }
            self.import(batch, stored).await?;
        }
        let batch = ImportBatch {
            owners: self.plan.owners.clone(),
            spans: self.plan.spans.clone(),
            ..ImportBatch::default()
        };
        self.import(batch, stored).await
    }

    async fn graph(&self, report: &mut Report, stored: &mut Stored) -> Result<(), ImportError> {
        let Some(graph) = &self.plan.graph else {
            return Ok(());
        };
        let mut reader = graph.open()?;
        self.progress.begin("knowledge graph", graph.total, "statements");
        let mut done = 0;
        loop {
            // A page of local rows takes some milliseconds, less than handing it to another thread is worth.
            let statements = reader.next(ROWS as u32)?;
            if statements.is_empty() {
                break;
            }
            done += statements.len() as u64;
            let batch = ImportBatch {
                statements,
                ..ImportBatch::default()
            };
            self.import(batch, stored).await?;
            self.progress.advance(done);
        }
        self.progress.end();
        report.repairs += reader.repairs;
        if reader.garbled > 0 {
            report.warn(format!(
                "{} statements come without provenance or attributes, which cannot be read",
                reader.garbled
            ));
        }
        Ok(())
    }

    async fn artifacts(&self, report: &mut Report, stored: &mut Stored) -> Result<(), ImportError> {
        let total = self.plan.artifacts.len() as u64;
        self.progress.begin("artifacts", total, "artifacts");
        let mut done = 0;
        for chunk in self.plan.artifacts.chunks(ROWS) {
            let mut batch = ImportBatch::default();
            for artifact in chunk {
                match artifacts::store(&*self.target.deps.blobs, &self.scope, artifact).await? {
                    Some(kept) => {
                        stored.blobs += u64::from(kept.copied);
                        batch.artifacts.push(kept.row);
                    }
                    None => report.warn("an artifact's metadata changed while it was read; it is left out"),
                }
                done += 1;
                if done % 16 == 0 {
                    self.progress.advance(done);
                }
            }
            self.import(batch, stored).await?;
        }
        self.progress.end();
        Ok(())
    }

    /// Copies workspaces that are not there yet.
    async fn workspaces(&self) -> Result<u64, ImportError> {
        let from = self.plan.folder.data.join("workspaces");
        let to = self.target.workspaces.clone();
        let names = source::folders(&from)?;
        let same = std::fs::canonicalize(&from).ok() == std::fs::canonicalize(&to).ok();
        if same || names.is_empty() {
            return Ok(0);
        }
        let progress = self.progress.clone();
        let copied = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&to).map_err(ImportError::write(&to))?;
            progress.begin("workspaces", names.len() as u64, "folders");
            let mut copied = 0;
            for (n, name) in names.iter().enumerate() {
                copied += u64::from(copy_workspace(&from.join(name), &to, name)?);
                progress.advance(n as u64);
            }
            progress.end();
            Ok(copied)
        });
        copied.await.map_err(|_| ImportError::Interrupted)?
    }
}

/// Under another name first, so that a folder with its name is whole.
fn copy_workspace(from: &Path, root: &Path, name: &str) -> Result<bool, ImportError> {
    let to = root.join(name);
    if to.exists() {
        return Ok(false);
    }
    ag_failpoints::hit_of(WRITE, &["workspace"]);
    let half = root.join(format!(".import-{name}"));
    if half.exists() {
        std::fs::remove_dir_all(&half).map_err(ImportError::write(&half))?;
    }
    copy_folder(from, &half)?;
    ag_failpoints::hit_of(WRITE, &["workspace"]);
    std::fs::rename(&half, &to).map_err(ImportError::write(&to))?;
    Ok(true)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), ImportError> {
    std::fs::create_dir_all(to).map_err(ImportError::write(to))?;
    for entry in std::fs::read_dir(from).map_err(ImportError::read(from))? {
        let entry = entry.map_err(ImportError::read(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        // A link may lead out of the workspace: what it names is not the run's.
        let kind = entry.file_type().map_err(ImportError::read(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target)?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target).map_err(ImportError::write(&target))?;
        }
    }
    Ok(())
}
