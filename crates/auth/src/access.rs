//! Whether a request must prove who is calling.

use crate::{MethodClass, Principal};

/// The switches of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessSettings {
    /// `PROTECT_READ`.
    pub protect_read: bool,
    /// `PROTECT_WRITE`.
    pub protect_write: bool,
    /// `DEV_READ_NO_AUTH`.
    pub dev_read_no_auth: bool,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            protect_read: true,
            protect_write: true,
            dev_read_no_auth: false,
        }
    }
}

/// What a gated request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthNeed {
    /// A valid credential.
    Required,
    /// Nothing, and there is no principal: the login itself, and `OPTIONS` on its way to routing.
    Anonymous,
    /// Nothing; the caller is the read-only loopback principal, whatever it presents.
    LoopbackRead,
    /// Nothing; the caller is the local admin.
    Open,
}

impl AuthNeed {
    /// The principal of a request that needs no credential.
    #[must_use]
    pub fn principal(self) -> Option<Principal> {
        match self {
            Self::Required | Self::Anonymous => None,
            Self::LoopbackRead => Some(Principal::loopback_reader()),
            Self::Open => Some(Principal::local_admin("")),
        }
    }
}

impl AccessSettings {
    /// What a request below a gated path needs. Credentials are not looked at unless they are required.
    #[must_use]
    pub fn need(self, method: &str, path: &str, loopback: bool) -> AuthNeed {
        match MethodClass::of(method) {
            MethodClass::Options => AuthNeed::Anonymous,
            MethodClass::Write if method == "POST" && path == "/api/gateway/session/login" => {
                AuthNeed::Anonymous
            }
            MethodClass::Write if self.protect_write => AuthNeed::Required,
            MethodClass::Read if self.protect_read && self.dev_read_no_auth && loopback => {
                AuthNeed::LoopbackRead
            }
            MethodClass::Read if self.protect_read => AuthNeed::Required,
            MethodClass::Read | MethodClass::Write => AuthNeed::Open,
            // No route serves them; they learn nothing without a credential.
            MethodClass::Other => AuthNeed::Required,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs() {
        use AuthNeed::{Anonymous, LoopbackRead, Open, Required};
        const RUNS: &str = "/api/gateway/runs";
        const LOGIN: &str = "/api/gateway/session/login";
        // read, write, dev, method, path, loopback, need
        let cases = [
            (true, true, false, "GET", RUNS, true, Required),
            (true, true, false, "POST", RUNS, true, Required),
            (true, true, true, "GET", RUNS, true, LoopbackRead),
            (true, true, true, "HEAD", RUNS, true, LoopbackRead),
            (true, true, true, "GET", RUNS, false, Required),
            (true, true, true, "DELETE", RUNS, true, Required),
            (false, true, false, "GET", RUNS, false, Open),
            (false, true, true, "GET", RUNS, true, Open),
            (false, true, false, "PUT", RUNS, false, Required),
            (true, false, false, "PATCH", RUNS, false, Open),
            (true, false, false, "GET", RUNS, false, Required),
            (true, true, false, "OPTIONS", RUNS, false, Anonymous),
            (true, true, false, "POST", LOGIN, false, Anonymous),
            (true, false, false, "POST", LOGIN, false, Anonymous),
            (true, true, false, "PUT", LOGIN, false, Required),
            (true, true, false, "GET", LOGIN, false, Required),
            (
                true,
                true,
                false,
                "POST",
                "/api/gateway/session/login/x",
                false,
                Required,
            ),
            (false, false, true, "TRACE", RUNS, true, Required),
            (true, true, true, "get", RUNS, true, Required),
        ];
        for (protect_read, protect_write, dev_read_no_auth, method, path, loopback, expected) in cases {
            let settings = AccessSettings {
                protect_read,
                protect_write,
                dev_read_no_auth,
            };
            assert_eq!(
                settings.need(method, path, loopback),
                expected,
                "{settings:?} {method} {path} {loopback}"
            );
        }
    }

    #[test]
    fn principals_of_open_requests() {
        assert_eq!(AuthNeed::Required.principal(), None);
        assert_eq!(AuthNeed::Anonymous.principal(), None);
        assert_eq!(
            AuthNeed::LoopbackRead.principal(),
            Some(Principal::loopback_reader())
        );
        assert!(
            AuthNeed::Open
                .principal()
                .is_some_and(|principal| principal.is_admin())
        );
    }
}
