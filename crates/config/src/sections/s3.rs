//! `[s3]`

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{Problems, secret};

/// A bucket for the bytes of artifacts and bundles, on AWS or any server that speaks its protocol. Without a bucket
/// they lie below the data directory, which all nodes of a cluster must then share.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// Name of the bucket; setting it moves new bytes there. Since v0.1.0.
    pub bucket: Option<String>,
    /// Address of the server, `http://…` or `https://…`. Unset: AWS. Since v0.1.0.
    pub endpoint: Option<String>,
    /// Region, part of every signature. Since v0.1.0.
    pub region: String,
    /// Put before every key, so that gateways can share a bucket. Since v0.1.0.
    pub prefix: String,
    /// The bucket stands in the host name instead of the path. Since v0.1.0.
    pub virtual_hosted: bool,
    /// Access key. Unset: the machine's own role, as the `AWS_…` variables name it. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub access_key_id: Option<SecretString>,
    /// File that holds the access key. Since v0.1.0.
    pub access_key_id_file: Option<PathBuf>,
    /// Secret half of the access key. Since v0.1.0.
    #[serde(serialize_with = "secret::redact")]
    #[schemars(with = "Option<String>")]
    pub secret_access_key: Option<SecretString>,
    /// File that holds the secret half. Since v0.1.0.
    pub secret_access_key_file: Option<PathBuf>,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            prefix: String::new(),
            virtual_hosted: false,
            access_key_id: None,
            access_key_id_file: None,
            secret_access_key: None,
            secret_access_key_file: None,
        }
    }
}

impl S3Config {
    pub(crate) fn normalise(&mut self, warnings: &mut Vec<String>) {
        let blank = |text: &mut Option<String>| {
            *text = text.take().map(|text| text.trim().to_owned());
            text.take_if(|text| text.is_empty());
        };
        blank(&mut self.bucket);
        blank(&mut self.endpoint);
        let stray =
            self.endpoint.is_some() || self.access_key_id.is_some() || self.secret_access_key.is_some();
        if self.bucket.is_none() && stray {
            warnings.push("the section s3 has no effect without s3.bucket".to_owned());
        }
    }

    pub(crate) fn validate(&self, problems: &mut Problems) {
        let Some(bucket) = &self.bucket else { return };
        if bucket.contains(['/', ' ']) {
            problems.add("s3.bucket", "must be the name of a bucket");
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            problems.add("s3.endpoint", "must start with http:// or https://");
        }
        if self.region.trim().is_empty() {
            problems.add("s3.region", "must not be empty");
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            problems.add("s3.access_key_id", "and s3.secret_access_key belong together");
        }
    }
}
