//! Where the program under test and the test data lie.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The `abstractgateway` binary of the running test's profile: test programs lie in `<target>/<profile>/deps`, so
/// this follows `CARGO_TARGET_DIR`, `--release` and nextest archives alike.
///
/// # Errors
/// It was not built.
pub(crate) fn gateway() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ABSTRACTGATEWAY_BIN") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "ABSTRACTGATEWAY_BIN names no file: {}",
            path.display()
        );
        return Ok(path);
    }
    let test = std::env::current_exe().context("path of the test program")?;
    let profile = test
        .parent()
        .and_then(Path::parent)
        .context("test program outside a target folder")?;
    let binary = profile.join("abstractgateway");
    ensure!(
        binary.is_file(),
        "{} is missing: build it with `cargo build -p abstractgateway` (the same profile as the tests) before running them",
        binary.display()
    );
    Ok(binary)
}

/// Folder of the vectors and the fake upstream.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}
