//! Directories that the operator opened.

use std::path::{Path, PathBuf};

use ag_config::Config;
use ag_tools::workspace::Roots;

/// Longest name of a mount.
const MAX_NAME: usize = 32;

/// Root of file operations outside of runs: the configured one, else the working directory.
pub(crate) fn operator_root(config: &Config) -> PathBuf {
    config.workspace.dir.clone().unwrap_or_else(|| PathBuf::from("."))
}

/// The operator's root with its mounts.
pub(crate) fn operator_roots(config: &Config) -> Roots {
    let roots = Roots::new(&operator_root(config));
    let mounts = config.workspace.mounts.as_deref().unwrap_or_default();
    mounts
        .lines()
        .filter_map(mount)
        .fold(roots, |roots, (name, path)| roots.with_mount(name, path))
}

/// What runs may name as their workspace: the operator's roots and the folder of run workspaces.
pub(crate) fn run_roots(config: &Config) -> Roots {
    // A name that no client can write, so that it opens the folder to absolute paths alone.
    operator_roots(config).with_mount("/", &config.workspaces_root())
}

/// One line `name=/absolute/dir`; a bad one is skipped with a log line.
fn mount(line: &str) -> Option<(&str, &Path)> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let good = line.split_once('=').and_then(|(name, path)| {
        let (name, path) = (name.trim(), Path::new(path.trim()));
        let named = (1..=MAX_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        (named && path.is_absolute() && path.is_dir()).then_some((name, path))
    });
    if good.is_none() {
        tracing::warn!(line, "skipping a workspace mount that is no name=/absolute/dir");
    }
    good
}
