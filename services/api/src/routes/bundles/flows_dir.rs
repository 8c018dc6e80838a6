//! The bundle folder of an embedded gateway (`ABSTRACTGATEWAY_FLOWS_DIR`): a folder of `*.flow` files, or one file.
//!
//! Everything here blocks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ag_bundles::{Limits, Package};
use ag_config::{Config, StoreBackend};
use ag_types::{PlaneId, TenantScope};
use bytes::Bytes;

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct FlowsDir(PathBuf);

impl FlowsDir {
    /// The folder that belongs to a plane: embedded gateways have one for the root plane, on a cluster it only seeds
    /// `migrate` (architecture D18).
    pub(super) fn of(config: &Config, scope: &TenantScope) -> Option<Self> {
        let embedded = config.store_backend() == StoreBackend::Sqlite && scope.plane == PlaneId::ROOT;
        config
            .workflows
            .flows_dir
            .as_deref()
            .filter(|_| embedded)
            .map(Self::new)
    }

    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the folder where nothing is.
    pub(super) fn ensure(&self) -> io::Result<()> {
        match self.0.exists() {
            true => Ok(()),
            false => fs::create_dir_all(&self.0),
        }
    }

    /// Bundle files in the order of their names.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        if self.0.is_file() {
            return Ok(vec![self.0.clone()]);
        }
        let mut files: Vec<PathBuf> = fs::read_dir(&self.0)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "flow") && path.is_file())
            .collect();
        files.sort();
        Ok(files)
    }

    /// Writes a bundle file through a temporary one; `false` where one file, not a folder, is configured.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        if self.0.is_file() {
            return Ok(false);
        }
        fs::create_dir_all(&self.0)?;
        let temporary = self.0.join(format!(".{name}.{}.tmp", std::process::id()));
        let written = fs::write(&temporary, bytes)
            .and_then(|()| fs::File::open(&temporary)?.sync_all())
            .and_then(|()| fs::rename(&temporary, self.0.join(name)));
        if written.is_err() {
            // Nothing is lost if this fails too: the name starts with a dot and does not end in `.flow`.
            let _ = fs::remove_file(&temporary);
        }
        written.map(|()| true)
    }

    /// Removes every file that holds this version, whatever its name.
    pub(super) fn remove(&self, bundle_id: &str, version: &str, limits: &Limits) {
        let Ok(files) = self.files() else { return };
        let usual = format!("{bundle_id}@{version}.flow");
        for path in files {
            let named = path.file_name().is_some_and(|name| name == usual.as_str());
            let holds = || {
                open(&path, limits).is_ok_and(|package| {
                    package.manifest().bundle_id == bundle_id && package.manifest().bundle_version == version
                })
            };
            if (named || holds())
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(error = %error, bundle = usual, "bundle file not removed");
            }
        }
    }
}

/// Reads a bundle file. The text names no folder of the host.
pub(super) fn open(path: &Path, limits: &Limits) -> Result<Package, String> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > limits.max_archive_bytes {
        return Err(format!("{size} bytes are more than {}", limits.max_archive_bytes));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    Package::open(Bytes::from(bytes), &name, limits).map_err(|error| error.to_string())
}
