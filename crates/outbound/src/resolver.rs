//! Name resolution that drops refused addresses before a connection is tried.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::{OutboundError, OutboundPolicy, normalise_name};

/// The system's resolver behind the policy. The connection goes to exactly the addresses that passed, so a name that
/// answers differently a moment later (DNS rebinding) gains nothing.
#[derive(Debug)]
pub(crate) struct GuardedResolver {
    policy: OutboundPolicy,
}

impl GuardedResolver {
    pub(crate) fn new(policy: OutboundPolicy) -> Self {
        Self { policy }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let normalised = normalise_name(&host);
            // Port 0 is replaced by the URL's.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|addr| policy.allows_address(Some(&normalised), addr.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(OutboundError::Refused { host }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
