//! The decision: may this URL or address be reached.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use crate::address::{is_metadata, is_metadata_name, is_public};
use crate::allowlist::Allowlist;

/// Why a request was not made, or a client not built.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Only `http` and `https` leave this process.
    #[error("URL scheme '{scheme}' is not allowed")]
    Scheme {
        /// Of the refused URL.
        scheme: String,
    },
    /// A URL without a host, such as `http:///x`.
    #[error("URL has no host")]
    NoHost,
    /// The destination is refused. The text names what the caller wrote, never what it resolved to: the answer would
    /// otherwise tell a user how the inner network is laid out.
    #[error("outbound address not allowed: {host}")]
    Refused {
        /// As written.
        host: String,
    },
    /// The operator's allow-list holds something unreadable.
    #[error("outbound allow-list entry '{entry}' is neither a host, an address nor a network")]
    AllowEntry {
        /// As configured.
        entry: String,
    },
    /// The HTTP client could not be set up.
    #[error("HTTP client could not be built")]
    Build(#[source] reqwest::Error),
}

/// Who chose the destination, and so what it may be.
#[derive(Clone, Debug)]
pub struct OutboundPolicy {
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Operator,
    User(Arc<Allowlist>),
}

impl OutboundPolicy {
    /// For what an operator configured: loopback and private addresses are the normal case (local model servers).
    #[must_use]
    pub fn operator() -> Self {
        Self {
            origin: Origin::Operator,
        }
    }

    /// For what an ordinary user supplied: public addresses and what the operator's list opens.
    #[must_use]
    pub fn user(allowlist: Allowlist) -> Self {
        Self {
            origin: Origin::User(Arc::new(allowlist)),
        }
    }

    /// Whether the destination was chosen by the operator.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        matches!(self.origin, Origin::Operator)
    }

    /// Judges an address that `host` (lower case; `None` for an address literal) resolved to.
    pub(crate) fn allows_address(&self, host: Option<&str>, ip: IpAddr) -> bool {
        if is_metadata(ip) {
            return false;
        }
        match &self.origin {
            Origin::Operator => true,
            Origin::User(list) => {
                is_public(ip)
                    || list.address(ip)
                    || host.is_some_and(|name| list.host(name, None) == Some(true))
            }
        }
    }

    fn allows_name(&self, name: &str, port: Option<u16>) -> bool {
        if is_metadata_name(name) {
            return false;
        }
        match &self.origin {
            Origin::Operator => true,
            // A name that is listed with ports only is refused on any other: what it resolves to is known to be inner.
            Origin::User(list) => match list.host(name, port) {
                Some(decision) => decision,
                None => name != "localhost" && !name.ends_with(".localhost"),
            },
        }
    }
}

/// Judges a URL before a request is made. Names are judged again when they are resolved.
///
/// # Errors
/// Another scheme than http(s), no host, or a refused host or address literal.
pub fn check_url(policy: &OutboundPolicy, url: &Url) -> Result<(), OutboundError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OutboundError::Scheme {
            scheme: url.scheme().to_owned(),
        });
    }
    let host = url.host().ok_or(OutboundError::NoHost)?;
    let allowed = match &host {
        Host::Domain(name) => policy.allows_name(&normalise_name(name), url.port_or_known_default()),
        Host::Ipv4(ip) => policy.allows_address(None, IpAddr::V4(*ip)),
        Host::Ipv6(ip) => policy.allows_address(None, IpAddr::V6(*ip)),
    };
    if allowed {
        Ok(())
    } else {
        Err(OutboundError::Refused {
            host: host.to_string(),
        })
    }
}

/// Lower case, without the root's trailing dot: one spelling per name.
pub(crate) fn normalise_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &OutboundPolicy, url: &str) -> bool {
        check_url(policy, &Url::parse(url).expect("url")).is_ok()
    }

    #[test]
    fn operator_reaches_private_but_not_metadata() {
        let policy = OutboundPolicy::operator();
        for ok in [
            "http://localhost:1234/v1",
            "http://10.0.0.5/",
            "http://[::1]:8000/",
            "https://api.openai.com/v1",
        ] {
            assert!(check(&policy, ok), "{ok}");
        }
        for bad in [
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://METADATA.google.internal./",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(!check(&policy, bad), "{bad}");
        }
    }

    #[test]
    fn user_reaches_public_and_listed_only() {
        let policy = OutboundPolicy::user(Allowlist::parse(["gpu.lan:8000", "10.1.0.0/16"]).expect("list"));
        for ok in [
            "https://api.openai.com/v1",
            "http://gpu.lan:8000/v1",
            "http://10.1.2.3/",
            "http://8.8.8.8/",
        ] {
            assert!(check(&policy, ok), "{ok}");
        }
        for bad in [
            "http://localhost/",
            "http://a.localhost/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0/",
            "http://10.2.0.1/",
            "http://gpu.lan:22/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/",
        ] {
            assert!(!check(&policy, bad), "{bad}");
        }
    }

    #[test]
    fn resolved_addresses_are_judged_with_their_name() {
        let policy = OutboundPolicy::user(Allowlist::parse(["gpu.lan"]).expect("list"));
        let private: IpAddr = "192.168.0.9".parse().expect("ip");
        assert!(policy.allows_address(Some("gpu.lan"), private));
        assert!(!policy.allows_address(Some("rebind.example"), private));
        assert!(!policy.allows_address(Some("gpu.lan"), "169.254.169.254".parse().expect("ip")));
    }
}
