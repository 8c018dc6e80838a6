//! What `serve` checks before it opens a port.

use std::net::IpAddr;

use crate::{OriginPolicy, TokenSet};

/// The facts of a start.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Host to bind.
    pub host: &'a str,
    /// The security layer is on.
    pub security: bool,
    /// Writes are protected.
    pub protect_write: bool,
    /// Users mode is on.
    pub users_mode: bool,
    /// Shared tokens.
    pub tokens: &'a TokenSet,
    /// Allowed origins.
    pub origins: &'a OriginPolicy,
}

/// Why the gateway does not start; the beginnings of the texts are contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartRefused {
    /// Nobody could write.
    #[error(
        "Missing gateway auth token. Set ABSTRACTGATEWAY_AUTH_TOKEN, or switch users mode on with \
         ABSTRACTGATEWAY_USER_AUTH=1."
    )]
    MissingToken,
    /// A guessable token on an address that others can reach.
    #[error(
        "Refusing to start: weak auth token detected while binding to a non-loopback host. Use a random token of \
         at least 15 characters, or bind to 127.0.0.1."
    )]
    WeakToken,
    /// Origins by wildcard on an address that others can reach.
    #[error(
        "Refusing to start: wildcard non-loopback origins while binding to a non-loopback host. Name the origins \
         in ABSTRACTGATEWAY_ALLOWED_ORIGINS, or bind to 127.0.0.1."
    )]
    WildcardOrigins,
}

/// Checks a start; the answer on success are warnings for the operator.
pub fn check(start: &Start<'_>) -> Result<Vec<String>, StartRefused> {
    let mut warnings = Vec::new();
    let loopback = is_loopback_host(start.host);
    if !start.security {
        if !loopback {
            warnings.push(format!(
                "security is off: everybody who reaches {} is admin",
                start.host
            ));
        }
        return Ok(warnings);
    }
    if start.protect_write && start.tokens.is_empty() && !start.users_mode {
        return Err(StartRefused::MissingToken);
    }
    if matches!(start.host, "0.0.0.0" | "::" | "[::]") {
        warnings.push(format!(
            "binding to {}: the gateway can be reached from other machines",
            start.host
        ));
    }
    if start.tokens.has_weak() && !loopback {
        return Err(StartRefused::WeakToken);
    }
    let wildcards: Vec<&str> = start.origins.wildcards_beyond_loopback().collect();
    if !wildcards.is_empty() {
        if !loopback {
            return Err(StartRefused::WildcardOrigins);
        }
        warnings.push(format!(
            "origins of other machines are allowed by wildcard: {}",
            wildcards.join(", ")
        ));
    }
    Ok(warnings)
}

/// Whether only this machine can reach the host.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(token: &str) -> TokenSet {
        let mut set = TokenSet::default();
        set.add(token);
        set
    }

    #[test]
    fn starts() {
        use StartRefused::{MissingToken, WeakToken, WildcardOrigins};
        const STRONG: &str = "a-strong-shared-token";
        let local: &[&str] = &["http://localhost:*"];
        // host, security, protect_write, users_mode, token, origins, warnings or refusal
        type Case<'a> = (
            &'a str,
            bool,
            bool,
            bool,
            &'a str,
            &'a [&'a str],
            Result<usize, StartRefused>,
        );
        let cases: &[Case<'_>] = &[
            ("127.0.0.1", true, true, false, STRONG, local, Ok(0)),
            ("127.0.0.1", true, true, false, "weak", local, Ok(0)),
            ("localhost", true, true, false, "weak", &["*"], Ok(1)),
            ("[::1]", true, true, false, "weak", local, Ok(0)),
            ("127.0.0.1", true, true, false, "", local, Err(MissingToken)),
            ("127.0.0.1", true, false, false, "", local, Ok(0)),
            ("127.0.0.1", true, true, true, "", local, Ok(0)),
            ("0.0.0.0", true, true, false, STRONG, local, Ok(1)),
            ("::", true, true, false, STRONG, local, Ok(1)),
            ("10.0.0.1", true, true, false, STRONG, local, Ok(0)),
            ("0.0.0.0", true, true, false, "weak", local, Err(WeakToken)),
            ("10.0.0.1", true, true, true, "weak", local, Err(WeakToken)),
            (
                "0.0.0.0",
                true,
                true,
                false,
                STRONG,
                &["https://*.x.io"],
                Err(WildcardOrigins),
            ),
            ("0.0.0.0", true, true, false, STRONG, &["https://x.io"], Ok(1)),
            ("0.0.0.0", false, true, false, "", &["*"], Ok(1)),
            ("127.0.0.1", false, true, false, "", local, Ok(0)),
        ];
        for (host, security, protect_write, users_mode, token, origins, expected) in cases {
            let (tokens, origins) = (tokens(token), OriginPolicy::new(origins.iter().copied()));
            let start = Start {
                host,
                security: *security,
                protect_write: *protect_write,
                users_mode: *users_mode,
                tokens: &tokens,
                origins: &origins,
            };
            let found = check(&start).map(|warnings| warnings.len());
            assert_eq!(found, *expected, "{start:?} {token}");
        }
    }

    #[test]
    fn texts_of_the_contract() {
        assert!(
            StartRefused::MissingToken
                .to_string()
                .starts_with("Missing gateway auth token. ")
        );
        assert!(StartRefused::WeakToken.to_string().starts_with(
            "Refusing to start: weak auth token detected while binding to a non-loopback host. "
        ));
    }
}
