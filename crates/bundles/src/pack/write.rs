//! Manifest and documents → zip bytes.

use std::{
    io::{Cursor, Write as _},
    sync::Arc,
};

use indexmap::IndexMap;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{bundle::MANIFEST_PATH, flow::Object, manifest::Manifest};

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The manifest lists a flow that was not given.
    #[error("flow '{0}' is listed but not given")]
    MissingFlow(String),
    /// A document cannot be serialised.
    #[error("serialising {path}")]
    Json {
        /// Path inside the bundle.
        path: String,
        /// Cause.
        source: serde_json::Error,
    },
    /// The zip writer refused an entry.
    #[error("writing {path}")]
    Zip {
        /// Path inside the bundle.
        path: String,
        /// Cause.
        source: zip::result::ZipError,
    },
    /// The in-memory writer failed.
    #[error("writing the bundle")]
    Io(#[from] std::io::Error),
}

/// Writes a bundle: the manifest first, then the flows it lists, in its order, without times.
///
/// # Errors
/// [`PackError`].
pub fn pack(manifest: &Manifest, flows: &IndexMap<String, Arc<Object>>) -> Result<Vec<u8>, PackError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    put(&mut zip, MANIFEST_PATH, manifest)?;
    for (flow_id, path) in &manifest.flows {
        let flow = flows
            .get(flow_id)
            .ok_or_else(|| PackError::MissingFlow(flow_id.clone()))?;
        put(&mut zip, path, flow.as_ref())?;
    }
    let finished = zip.finish().map_err(|source| PackError::Zip {
        path: MANIFEST_PATH.to_owned(),
        source,
    })?;
    Ok(finished.into_inner())
}

fn put(
    zip: &mut ZipWriter<Cursor<Vec<u8>>>,
    path: &str,
    document: &impl serde::Serialize,
) -> Result<(), PackError> {
    let json = serde_json::to_vec_pretty(document).map_err(|source| PackError::Json {
        path: path.to_owned(),
        source,
    })?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    zip.start_file(path, options).map_err(|source| PackError::Zip {
        path: path.to_owned(),
        source,
    })?;
    Ok(zip.write_all(&json)?)
}
