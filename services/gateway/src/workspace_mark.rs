//! Whose workspaces are mounted here (architecture D17).
//!
//! All processes that touch files share one mount. The first of them writes a random mark into its root and into the
//! database; the others compare. A difference means that something else is mounted, or nothing: files would be written
//! where nobody else looks for them. Such a process is not ready, and a runner takes no runs.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ag_api::Fitness;
use ag_store::{Document, DocumentKind, PutMode, Store};
use ag_types::{Clock, IdGen, TenantScope};
use anyhow::Context as _;

/// The file in the root of the workspaces.
const FILE: &str = ".abstractgateway-workspaces";
/// Id of the document.
const ID: &str = "workspaces";
/// Time between looks: a mount may come late.
const EVERY: Duration = Duration::from_secs(10);

/// Compares, and writes what is missing on both sides.
pub(crate) struct WorkspaceMark {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGen>,
    pub(crate) root: PathBuf,
}

impl WorkspaceMark {
    /// Whether the mount is the installation's.
    ///
    /// # Errors
    /// When the database or the mount cannot be read.
    pub(crate) async fn is_ours(&self) -> anyhow::Result<bool> {
        let scope = TenantScope::root();
        let known = self
            .store
            .document(&scope, DocumentKind::Installation, ID)
            .await?;
        let found = read(&self.root).await?;
        if let Some(known) = known {
            let known = known.body.trim_matches('"');
            return match found {
                Some(found) => Ok(found == known),
                // The process that made the row died before it named its file.
                None => publish(&self.root, known).await,
            };
        }
        // A mark without a row is that of an installation whose database is another one, or was restored from a time
        // before the mark; nobody but an operator can tell.
        if found.is_some() {
            return Ok(false);
        }
        let mark = self.ids.uuid().to_string();
        // Before the row: whoever finds a row without a mark could not tell a death here from a missing mount.
        write(&self.root, &mark).await?;
        let document = Document {
            id: ID.to_owned(),
            body: format!("\"{mark}\""),
            updated_at: self.clock.now(),
        };
        self.store
            .put_document(&scope, DocumentKind::Installation, document, PutMode::Create)
            .await?;
        // Somebody else may have been first; what counts is the row.
        let known = self
            .store
            .document(&scope, DocumentKind::Installation, ID)
            .await?
            .context("the mark of the workspaces is gone")?;
        if known.body.trim_matches('"') != mark {
            // What is left of a draft does no harm.
            let _ = tokio::fs::remove_file(draft(&self.root, &mark)).await;
            return Ok(false);
        }
        publish(&self.root, &mark).await
    }

    /// Looks again and again and says what it finds. Logs changes only.
    pub(crate) async fn watch(self, fit: Fitness) {
        let mut said = None;
        loop {
            let found = self.is_ours().await;
            let ours = matches!(found, Ok(true));
            // A database that is away is not a foreign mount, and says so by itself.
            if !matches!(&found, Err(error) if error.is::<ag_store::StoreError>()) {
                fit.set(ours);
                if said != Some(ours) {
                    said = Some(ours);
                    let root = self.root.display();
                    match found {
                        Ok(true) => tracing::info!(%root, "the workspaces are those of the database"),
                        Ok(false) => tracing::error!(
                            %root,
                            "the workspaces here are not those of the database: the mount is missing or another one"
                        ),
                        Err(error) => tracing::error!(%root, %error, "the workspaces cannot be read"),
                    }
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn read(root: &Path) -> anyhow::Result<Option<String>> {
    match tokio::fs::read_to_string(root.join(FILE)).await {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {FILE} in {}", root.display())),
    }
}

/// A mark that is not yet known to be the installation's.
fn draft(root: &Path, mark: &str) -> PathBuf {
    root.join(format!("{FILE}.{mark}"))
}

async fn write(root: &Path, mark: &str) -> anyhow::Result<()> {
    tokio::fs::create_dir_all(root)
        .await
        .with_context(|| format!("cannot make {}", root.display()))?;
    tokio::fs::write(draft(root, mark), format!("{mark}\n"))
        .await
        .with_context(|| format!("cannot write {FILE} in {}", root.display()))
}

/// Gives the draft of a mark its name; `false` where there is none.
async fn publish(root: &Path, mark: &str) -> anyhow::Result<bool> {
    match tokio::fs::rename(draft(root, mark), root.join(FILE)).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {FILE} in {}", root.display())),
    }
}

#[cfg(test)]
mod tests {
    use ag_store::fake::FakeStore;
    use ag_types::{SystemClock, SystemIds};

    use super::*;

    fn mark(store: &Arc<dyn Store>, root: &Path) -> WorkspaceMark {
        WorkspaceMark {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            root: root.to_owned(),
        }
    }

    fn database() -> Arc<dyn Store> {
        Arc::new(FakeStore::new(Arc::new(SystemClock)))
    }

    #[tokio::test]
    async fn the_first_process_marks_and_the_others_compare() {
        let (database, shared, empty) = (
            database(),
            tempfile::tempdir().expect("folder"),
            tempfile::tempdir().expect("folder"),
        );
        for _ in 0..2 {
            assert!(mark(&database, shared.path()).is_ours().await.expect("readable"));
        }
        let missing = mark(&database, empty.path());
        assert!(
            !missing.is_ours().await.expect("readable"),
            "the mount is missing"
        );
        std::fs::copy(shared.path().join(FILE), empty.path().join(FILE)).expect("mounted at last");
        assert!(missing.is_ours().await.expect("readable"));
    }

    #[tokio::test]
    async fn a_death_between_row_and_file_is_mended() {
        let (database, shared) = (database(), tempfile::tempdir().expect("folder"));
        assert!(mark(&database, shared.path()).is_ours().await.expect("readable"));
        let file = shared.path().join(FILE);
        let known = std::fs::read_to_string(&file).expect("mark");
        std::fs::rename(&file, draft(shared.path(), known.trim())).expect("as before the death");
        assert!(mark(&database, shared.path()).is_ours().await.expect("readable"));
        assert!(file.is_file());
    }

    #[tokio::test]
    async fn the_workspaces_of_another_installation_are_refused() {
        let shared = tempfile::tempdir().expect("folder");
        assert!(
            mark(&database(), shared.path())
                .is_ours()
                .await
                .expect("readable")
        );
        assert!(
            !mark(&database(), shared.path())
                .is_ours()
                .await
                .expect("readable")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_mount_makes_the_process_fit() {
        let (database, shared, mine) = (
            database(),
            tempfile::tempdir().expect("folder"),
            tempfile::tempdir().expect("folder"),
        );
        assert!(mark(&database, shared.path()).is_ours().await.expect("readable"));
        let fit = Fitness::default();
        let watching = tokio::spawn(mark(&database, mine.path()).watch(fit.clone()));
        while fit.is_fit() {
            tokio::task::yield_now().await;
        }
        std::fs::copy(shared.path().join(FILE), mine.path().join(FILE)).expect("mounted at last");
        while !fit.is_fit() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        watching.abort();
    }
}
