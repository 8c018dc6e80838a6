//! Where the bucket is and how to open it.

use std::{collections::BTreeMap, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::S3Blobs;

/// Time to reach the server; a server that is away is found away while the request still waits.
const CONNECT: Duration = Duration::from_secs(5);
/// Time without a byte of an answer. A part is [`crate::PART_BYTES`], which goes up in this time at 70 kB/s. There is
/// no limit on a whole request: a large value is read as slowly as its reader takes it.
const SILENCE: Duration = Duration::from_secs(120);
/// Time after which a failing request is not tried again.
const RETRY: Duration = Duration::from_secs(30);

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Name of the bucket.
    pub bucket: String,
    /// Address of the server; `None` for that of AWS. Plain HTTP is spoken where the address says so.
    pub endpoint: Option<String>,
    /// Region, part of every signature.
    pub region: String,
    /// Put before every key; may be empty.
    pub prefix: String,
    /// The bucket's name stands in the host name instead of the path.
    pub virtual_hosted: bool,
    /// Who asks.
    pub credentials: S3Credentials,
}

/// Credentials of the bucket.
#[derive(Debug, Clone)]
pub enum S3Credentials {
    /// A key pair.
    Keys {
        /// Public half.
        id: SecretString,
        /// Secret half.
        secret: SecretString,
    },
    /// Those of the machine: variables `AWS_…` that name a web identity or a container's or instance's role.
    Machine(BTreeMap<String, String>),
}

/// Settings that no bucket can be opened with.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The endpoint is no HTTP address.
    #[error("the endpoint of the object store is not an http or https address")]
    Endpoint,
    /// The prefix cannot be part of a key.
    #[error("the prefix of the object store cannot be part of a key: {0}")]
    Prefix(#[source] object_store::path::Error),
    /// The client cannot be built.
    #[error("cannot set up the client of the object store: {0}")]
    Client(#[source] object_store::Error),
}

impl S3Settings {
    /// A client of the bucket. Nothing is asked yet: the server may still be starting.
    ///
    /// # Errors
    /// [`S3Error`].
    pub fn open(&self) -> Result<S3Blobs, S3Error> {
        // Fails only when a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = Path::parse(self.prefix.trim_matches('/')).map_err(S3Error::Prefix)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(self.virtual_hosted)
            .with_disable_tagging(true)
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 5,
                retry_timeout: RETRY,
            });
        let mut http = false;
        if let Some(endpoint) = &self.endpoint {
            let url = Url::parse(endpoint).map_err(|_| S3Error::Endpoint)?;
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                return Err(S3Error::Endpoint);
            }
            http = url.scheme() == "http";
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        builder = builder.with_client_options(
            ClientOptions::new()
                .with_allow_http(http)
                .with_connect_timeout(CONNECT)
                .with_read_timeout(SILENCE)
                .with_timeout_disabled(),
        );
        builder = match &self.credentials {
            S3Credentials::Keys { id, secret } => builder
                .with_access_key_id(id.expose_secret())
                .with_secret_access_key(secret.expose_secret()),
            S3Credentials::Machine(variables) => variables.iter().fold(builder, machine),
        };
        let store = builder.build().map_err(S3Error::Client)?;
        Ok(S3Blobs::new(store, prefix))
    }
}

/// Hands on what names credentials; bucket, region and address are settings of ours.
fn machine(builder: AmazonS3Builder, (name, value): (&String, &String)) -> AmazonS3Builder {
    use AmazonS3ConfigKey as Key;
    match name.to_ascii_lowercase().parse::<Key>() {
        Ok(
            Key::DefaultRegion | Key::Region | Key::Bucket | Key::Endpoint | Key::VirtualHostedStyleRequest,
        )
        | Err(_) => builder,
        Ok(key) => builder.with_config(key, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> S3Settings {
        S3Settings {
            bucket: "b".to_owned(),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            region: "eu-1".to_owned(),
            prefix: String::new(),
            virtual_hosted: false,
            credentials: S3Credentials::Keys {
                id: "canary-id".into(),
                secret: "canary-secret".into(),
            },
        }
    }

    #[test]
    fn refusals() {
        for endpoint in ["ftp://host", "host:9000", "nonsense", ""] {
            let wrong = S3Settings {
                endpoint: Some(endpoint.to_owned()),
                ..settings()
            };
            assert!(matches!(wrong.open(), Err(S3Error::Endpoint)), "{endpoint}");
        }
        let wrong = S3Settings {
            prefix: "a/../b".to_owned(),
            ..settings()
        };
        assert!(matches!(wrong.open(), Err(S3Error::Prefix(_))));
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = settings();
        let blobs = settings.open().expect("valid");
        for text in [format!("{settings:?}"), format!("{blobs:?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_machine_names_its_own_credentials() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "elsewhere"),
            ("AWS_EXECUTION_ENV", "nothing to us"),
        ];
        let machine = S3Settings {
            credentials: S3Credentials::Machine(
                variables
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..settings()
        };
        assert!(machine.open().is_ok());
    }
}
