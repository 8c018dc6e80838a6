//! Where runs, ledgers and commands of one plane are read from. Reading blocks; it happens on a thread of its own.

mod file;
mod sqlite;

use std::path::{Path, PathBuf};

use crate::ImportError;

pub(super) use file::FileSource;
pub(super) use sqlite::SqliteSource;

/// The reference's stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A JSON file per run, a JSON Lines file per ledger.
    File,
    /// One SQLite database.
    Sqlite,
}

impl StoreKind {
    /// The value of `--from`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Name of the reference's database.
pub(super) const DATABASE: &str = "gateway.sqlite3";

/// Whether a file is a database of the reference: its tables have other columns than ours.
#[must_use]
pub fn is_database(path: &Path) -> bool {
    path.is_file() && sqlite::is_reference(path)
}

/// Refuses to import a database of the reference into the folder where it lies: both have the same name.
///
/// # Errors
/// [`ImportError::SameFile`].
pub fn check_apart(path: &Path, data_dir: &Path) -> Result<(), ImportError> {
    let source = if path.is_dir() {
        path.join(DATABASE)
    } else {
        path.to_owned()
    };
    let target = data_dir.join(DATABASE);
    let same = std::fs::canonicalize(&source)
        .ok()
        .filter(|source| std::fs::canonicalize(&target).is_ok_and(|target| target == *source));
    match same {
        Some(path) => Err(ImportError::SameFile(path)),
        None => Ok(()),
    }
}

/// A stored command, as far as it could be read.
#[derive(Debug, Clone)]
pub(super) struct RawCommand {
    pub(super) seq: i64,
    pub(super) command_id: String,
    pub(super) run_id: String,
    pub(super) kind: String,
    /// JSON as Python wrote it.
    pub(super) payload: String,
    pub(super) ts: String,
    pub(super) client_id: Option<String>,
}

/// Hears of the lines of a ledger.
pub(super) type EachLine<'a> = dyn FnMut(&[u8], u64) -> Result<(), ImportError> + 'a;

/// What a plane holds in its store.
pub(super) trait Source: Send {
    /// Ids of all runs, in ascending order.
    fn run_ids(&mut self) -> Result<Vec<String>, ImportError>;
    /// Size of the ledgers, in whatever [`Source::ledger`] reports.
    fn ledger_total(&mut self) -> Result<u64, ImportError>;
    /// Ledgers that belong to no run.
    fn orphan_ledgers(&mut self) -> Result<u64, ImportError>;
    /// The JSON of a run; `None` if it is gone.
    fn run(&mut self, run_id: &str) -> Result<Option<Vec<u8>>, ImportError>;
    /// The lines of a ledger in order, each with what it counts for in [`Source::ledger_total`].
    fn ledger(&mut self, run_id: &str, each: &mut EachLine<'_>) -> Result<(), ImportError>;
    /// Commands by number, and how many could not be read.
    fn commands(&mut self) -> Result<(Vec<RawCommand>, u64), ImportError>;
    /// Number of the last command that was applied.
    fn cursor(&mut self) -> Result<i64, ImportError>;
    /// Unit of [`Source::ledger_total`].
    fn unit(&self) -> &'static str;
}

/// A plane of the reference.
#[derive(Debug, Clone)]
pub(super) struct PlaneFolder {
    pub(super) tenant_id: String,
    pub(super) runtime_id: String,
    /// Folder of its data.
    pub(super) data: PathBuf,
    /// Where its store lies.
    pub(super) store: PathBuf,
    pub(super) kind: StoreKind,
    /// Folder of its bundles, where the layout says so.
    pub(super) flows: Option<PathBuf>,
}

/// The planes of a folder. `root` is the folder, or a database with another name in it.
///
/// # Errors
/// [`ImportError::NotFound`] when neither the root nor a user has data.
pub(super) fn planes(kind: StoreKind, path: &Path) -> Result<Vec<PlaneFolder>, ImportError> {
    let (root, store) = match kind {
        StoreKind::Sqlite if path.is_file() => (
            path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned),
            path.to_owned(),
        ),
        StoreKind::Sqlite => (path.to_owned(), path.join(DATABASE)),
        StoreKind::File => (path.to_owned(), path.to_owned()),
    };
    let mut planes = Vec::new();
    if has_data(kind, &store)? {
        planes.push(PlaneFolder {
            tenant_id: "default".to_owned(),
            runtime_id: "default".to_owned(),
            data: root.clone(),
            store,
            kind,
            flows: None,
        });
    }
    let users = root.join("users");
    for tenant in folders(&users)? {
        for runtime in folders(&users.join(&tenant))? {
            let home = users.join(&tenant).join(&runtime);
            let data = home.join("runtime");
            // A user's store may have been moved or not; what is there decides (importer note 1).
            let kind = match data.join(DATABASE).is_file() {
                true if kind == StoreKind::Sqlite || !has_data(StoreKind::File, &data)? => StoreKind::Sqlite,
                _ => StoreKind::File,
            };
            if !data.is_dir() {
                continue;
            }
            let store = match kind {
                StoreKind::Sqlite => data.join(DATABASE),
                StoreKind::File => data.clone(),
            };
            planes.push(PlaneFolder {
                tenant_id: tenant.clone(),
                runtime_id: runtime,
                store,
                kind,
                flows: Some(home.join("flows")).filter(|flows| flows.is_dir()),
                data,
            });
        }
    }
    if planes.is_empty() {
        let expected = match kind {
            StoreKind::File => "run_*.json files of the Python gateway's file store",
            StoreKind::Sqlite => "gateway.sqlite3 of the Python gateway",
        };
        return Err(ImportError::NotFound {
            path: path.to_owned(),
            expected,
        });
    }
    Ok(planes)
}

fn has_data(kind: StoreKind, store: &Path) -> Result<bool, ImportError> {
    match kind {
        StoreKind::Sqlite => Ok(store.is_file()),
        StoreKind::File => {
            if !store.is_dir() {
                return Ok(false);
            }
            let entries = std::fs::read_dir(store).map_err(ImportError::read(store))?;
            Ok(entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name == "commands.jsonl" || name.starts_with("run_") && name.ends_with(".json")
            }))
        }
    }
}

/// Names of the folders in a folder, sorted; none if it is absent.
pub(super) fn folders(path: &Path) -> Result<Vec<String>, ImportError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImportError::read(path)(error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Paths of the files in a folder with an extension, sorted; none if it is absent.
pub(super) fn files(path: &Path, extension: &str) -> Result<Vec<PathBuf>, ImportError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImportError::read(path)(error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension) && path.is_file())
        .collect();
    paths.sort();
    Ok(paths)
}
