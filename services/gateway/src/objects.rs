//! Where the bytes of artifacts and bundles lie: a folder, or a bucket.

use std::sync::Arc;

use ag_artifacts::{BlobMaintenance, LocalBlobs};
use ag_artifacts_s3::{S3Credentials, S3Settings};
use ag_config::{Config, EnvSource};
use anyhow::Context as _;

/// The store of bytes that is configured.
pub(crate) fn open(config: &Config, env: &EnvSource) -> anyhow::Result<Arc<dyn BlobMaintenance>> {
    let s3 = &config.s3;
    let Some(bucket) = &s3.bucket else {
        return Ok(Arc::new(LocalBlobs::new(config.data_path("blobs"))));
    };
    let credentials = match (&s3.access_key_id, &s3.secret_access_key) {
        (Some(id), Some(secret)) => S3Credentials::Keys {
            id: id.clone(),
            secret: secret.clone(),
        },
        // Validated: both or none.
        _ => S3Credentials::Machine(
            env.iter()
                .filter(|(name, _)| name.starts_with("AWS_"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ),
    };
    let settings = S3Settings {
        bucket: bucket.clone(),
        endpoint: s3.endpoint.clone(),
        region: s3.region.trim().to_owned(),
        prefix: s3.prefix.trim().to_owned(),
        virtual_hosted: s3.virtual_hosted,
        credentials,
    };
    Ok(Arc::new(settings.open().context("section s3")?))
}
