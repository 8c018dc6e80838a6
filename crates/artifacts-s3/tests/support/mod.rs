//! An S3 server in memory, in the process of the test: what the adapter uses of the protocol, with signatures
//! checked, pages of three keys and failures on demand.

mod server;
mod signature;
mod xml;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ag_artifacts_s3::{S3Blobs, S3Credentials, S3Settings};
use axum::Router;
use tokio::net::TcpListener;

pub(crate) use server::Bucket;

pub(crate) const KEY_ID: &str = "test-id";
pub(crate) const SECRET: &str = "test-secret";
pub(crate) const REGION: &str = "test-region-1";
pub(crate) const BUCKET: &str = "blobs";

/// A running server; it ends with the test's runtime.
pub(crate) struct S3 {
    address: SocketAddr,
    pub(crate) bucket: Arc<Bucket>,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let bucket = Arc::new(Bucket::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let app = Router::new().fallback(server::answer).with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, bucket }
    }

    pub(crate) fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: BUCKET.to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            region: REGION.to_owned(),
            prefix: "gateway/a b".to_owned(),
            virtual_hosted: false,
            credentials: S3Credentials::Keys {
                id: KEY_ID.into(),
                secret: SECRET.into(),
            },
        }
    }

    pub(crate) fn blobs(&self) -> S3Blobs {
        self.settings().open().expect("valid settings")
    }
}

/// Runs a test to its end, within a bound.
pub(crate) async fn bounded<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(50), test)
        .await
        .expect("the test ended in time")
}
