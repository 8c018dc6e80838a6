//! Where the test data lie.

use std::path::{Path, PathBuf};

/// Folder of the vectors and the fake upstream.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}
