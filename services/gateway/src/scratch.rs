//! Where bytes lie that are on their way: uploads, and contents for a bucket.

use std::{fs, path::Path};

use ag_config::{Config, EnvSource};

/// Puts files without a name below the data directory, unless the operator says where they go (`TMPDIR`): the system's
/// own folder is often memory, and small.
pub(crate) fn settle(config: &Config, env: &EnvSource) {
    if env.get("TMPDIR").is_some() {
        return;
    }
    let folder = config.data_path("tmp");
    match make(&folder) {
        // Only the first call of a process counts.
        Ok(()) => drop(tempfile::env::override_temp_dir(&folder)),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "no folder for temporary files of our own");
        }
    }
}

#[cfg(unix)]
fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}
