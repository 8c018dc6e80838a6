//! One TLS configuration for all clients.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, Error, crypto::CryptoProvider};
use rustls_platform_verifier::Verifier;

/// The machine's root certificates are hundreds of files. Reading them takes some eight milliseconds, most of what a
/// gateway needs to start, and a client that is left to configure itself does it again.
static SHARED: OnceLock<Result<ClientConfig, Error>> = OnceLock::new();

/// The configuration that trusts whom the machine trusts.
///
/// # Errors
/// The machine has no root certificates; the answer stays the same for the life of the process.
pub(crate) fn shared() -> Result<ClientConfig, Error> {
    SHARED.get_or_init(build).clone()
}

fn build() -> Result<ClientConfig, Error> {
    let provider = match CryptoProvider::get_default() {
        Some(installed) => Arc::clone(installed),
        None => Arc::new(rustls::crypto::ring::default_provider()),
    };
    let verifier = Verifier::new(Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_what_was_read() {
        let (Ok(first), Ok(second)) = (shared(), shared()) else {
            // A machine without root certificates.
            return;
        };
        assert!(Arc::ptr_eq(first.crypto_provider(), second.crypto_provider()));
        assert_eq!(first.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }
}
