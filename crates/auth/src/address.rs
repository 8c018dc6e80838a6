//! Where a request comes from.

use std::net::IpAddr;

/// The address that a client is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    text: String,
    loopback: bool,
}

/// Longer texts in `X-Forwarded-For` are no address.
const MAX_TEXT: usize = 64;

impl ClientAddress {
    /// The peer's address, or the first element of `X-Forwarded-For` behind a trusted proxy.
    ///
    /// Loopback is only who is so by both: a client cannot forward itself into the machine.
    #[must_use]
    pub fn of_request(peer: Option<IpAddr>, forwarded_for: Option<&str>, trust_proxy: bool) -> Self {
        let peer = peer.map(|peer| peer.to_canonical());
        let forwarded = forwarded_for
            .filter(|_| trust_proxy)
            .and_then(|list| list.split(',').next())
            .map(str::trim)
            .filter(|first| !first.is_empty());
        let text = match (forwarded, peer) {
            (Some(first), _) => first.chars().take(MAX_TEXT).collect(),
            (None, Some(peer)) => peer.to_string(),
            (None, None) => String::new(),
        };
        let loopback = is_loopback(&text) && peer.is_some_and(|peer| peer.is_loopback());
        Self { text, loopback }
    }

    /// The address as text, for the audit log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the client is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// What counts as one client: IPv6 clients own a /64 and could otherwise take a new address for each try.
    #[must_use]
    pub fn network(&self) -> String {
        match self.text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Ok(address) => address.to_string(),
            Err(_) => self.text.clone(),
        }
    }
}

/// The names that the contract counts as loopback.
fn is_loopback(text: &str) -> bool {
    matches!(text, "127.0.0.1" | "::1" | "localhost" | "testclient")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        // peer, X-Forwarded-For, trusted, text, loopback, network
        type Case<'a> = (&'a str, Option<&'a str>, bool, &'a str, bool, &'a str);
        let cases: &[Case<'_>] = &[
            ("127.0.0.1", None, false, "127.0.0.1", true, "127.0.0.1"),
            ("::1", None, false, "::1", true, "0:0:0:0::/64"),
            ("::ffff:127.0.0.1", None, false, "127.0.0.1", true, "127.0.0.1"),
            ("10.0.0.9", None, true, "10.0.0.9", false, "10.0.0.9"),
            (
                "10.0.0.9",
                Some("1.2.3.4, 5.6.7.8"),
                true,
                "1.2.3.4",
                false,
                "1.2.3.4",
            ),
            ("10.0.0.9", Some("1.2.3.4"), false, "10.0.0.9", false, "10.0.0.9"),
            ("10.0.0.9", Some(" "), true, "10.0.0.9", false, "10.0.0.9"),
            // Forged: the peer is another machine.
            (
                "10.0.0.9",
                Some("127.0.0.1"),
                true,
                "127.0.0.1",
                false,
                "127.0.0.1",
            ),
            (
                "10.0.0.9",
                Some("localhost"),
                true,
                "localhost",
                false,
                "localhost",
            ),
            (
                "127.0.0.1",
                Some("localhost"),
                true,
                "localhost",
                true,
                "localhost",
            ),
            ("127.0.0.1", Some("1.2.3.4"), true, "1.2.3.4", false, "1.2.3.4"),
            (
                "2001:db8:1:2:3::4",
                None,
                false,
                "2001:db8:1:2:3::4",
                false,
                "2001:db8:1:2::/64",
            ),
        ];
        for (peer, forwarded, trusted, text, loopback, network) in cases {
            let address = ClientAddress::of_request(peer.parse().ok(), *forwarded, *trusted);
            let found = (address.as_str(), address.is_loopback(), address.network());
            assert_eq!(
                found,
                (*text, *loopback, (*network).to_owned()),
                "{peer} {forwarded:?}"
            );
        }
        let unknown = ClientAddress::of_request(None, None, false);
        assert_eq!((unknown.as_str(), unknown.is_loopback()), ("", false));
    }

    #[test]
    fn forwarded_texts_are_bounded() {
        let long = "x".repeat(10_000);
        let address = ClientAddress::of_request(None, Some(&long), true);
        assert_eq!(address.as_str().len(), MAX_TEXT);
    }
}
