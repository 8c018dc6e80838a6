//! From uploaded bytes to an installable package: file names, safe ids, and the upload's errors.

use bytes::Bytes;

use crate::{
    archive::Limits,
    bundle::{Package, PackageError},
    status::ErrorStatus,
};

/// Why an upload is refused; the texts are the contract's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// Zero bytes.
    #[error("Bundle content is empty")]
    Empty,
    /// Over `MAX_BUNDLE_BYTES`.
    #[error("Bundle too large ({size} bytes > {max} bytes)")]
    TooLarge {
        /// Size of the upload in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// No bundle, or a hostile one.
    #[error("Failed installing bundle: {0}")]
    Invalid(#[from] PackageError),
    /// An id that vanished in trimming.
    #[error("Uploaded bundle has empty manifest.bundle_id")]
    EmptyId,
    /// An id that cannot be a file name.
    #[error(
        "Bundle id '{id}' contains unsafe characters. Publish with a safe bundle_id (suggested: '{suggestion}')."
    )]
    UnsafeId {
        /// As in the manifest.
        id: String,
        /// The nearest safe id.
        suggestion: String,
    },
    /// A version that cannot be part of a file name.
    #[error(
        "Bundle version '{version}' contains unsafe characters. Publish with a safe bundle_version (suggested: '{suggestion}')."
    )]
    UnsafeVersion {
        /// As in the manifest.
        version: String,
        /// The nearest safe version.
        suggestion: String,
    },
    /// The same `id@version` is there and `overwrite` was not given.
    #[error("Bundle already installed: {0}")]
    AlreadyInstalled(String),
}

impl InstallError {
    /// HTTP status family of the answer.
    #[must_use]
    pub const fn status(&self) -> ErrorStatus {
        match self {
            Self::TooLarge { .. } => ErrorStatus::TooLarge,
            Self::Invalid(error) => error.status(),
            _ => ErrorStatus::BadRequest,
        }
    }
}

/// Checks an upload completely: size, archive structure, every entry's bytes, manifest, and a name that
/// can be installed. `origin` is the file name that error texts show. Flow documents are not parsed
/// here; [`Package::load`] does that, and its failure does not undo an upload.
///
/// # Errors
/// [`InstallError`], in the order of the checks.
pub fn inspect_upload(bytes: Bytes, origin: &str, limits: &Limits) -> Result<Package, InstallError> {
    if bytes.is_empty() {
        return Err(InstallError::Empty);
    }
    let size = bytes.len() as u64;
    if size > limits.max_archive_bytes {
        return Err(InstallError::TooLarge {
            size,
            max: limits.max_archive_bytes,
        });
    }
    let package = Package::open(bytes, origin, limits)?;
    check_name(&package.manifest().bundle_id, &package.manifest().bundle_version)?;
    package.verify()?;
    Ok(package)
}

/// File name of an installed bundle: `<bundle_id>@<bundle_version>.flow`.
///
/// # Errors
/// When id or version is empty or not equal to its sanitised form.
pub fn install_name(bundle_id: &str, bundle_version: &str) -> Result<String, InstallError> {
    check_name(bundle_id, bundle_version)?;
    Ok(format!("{bundle_id}@{bundle_version}.flow"))
}

fn check_name(id: &str, version: &str) -> Result<(), InstallError> {
    if id.trim().is_empty() {
        return Err(InstallError::EmptyId);
    }
    let suggestion = sanitize_id(id);
    if suggestion != id {
        return Err(InstallError::UnsafeId {
            id: id.to_owned(),
            suggestion: or(suggestion, "bundle"),
        });
    }
    let suggestion = sanitize_version(version);
    if suggestion != version || version.is_empty() {
        return Err(InstallError::UnsafeVersion {
            version: version.to_owned(),
            suggestion: or(suggestion, crate::manifest::DEFAULT_VERSION),
        });
    }
    Ok(())
}

fn or(text: String, fallback: &str) -> String {
    if text.is_empty() {
        fallback.to_owned()
    } else {
        text
    }
}

/// The id with every run of characters outside `[A-Za-z0-9_]` as one dash and no dash at the edges.
/// May be empty.
#[must_use]
pub fn sanitize_id(id: &str) -> String {
    dashed(id, |c| c.is_ascii_alphanumeric() || c == '_')
}

/// Like [`sanitize_id`], with dots kept.
#[must_use]
pub fn sanitize_version(version: &str) -> String {
    dashed(version, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

fn dashed(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    if out.ends_with('-') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests;
