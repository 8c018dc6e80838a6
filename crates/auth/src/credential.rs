//! What a request presents to prove who is calling.

/// Names of the session header and cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialNames {
    /// Session header, lower case.
    pub session_header: String,
    /// Session cookie.
    pub session_cookie: String,
}

impl Default for CredentialNames {
    fn default() -> Self {
        Self {
            session_header: "x-abstractgateway-session".to_owned(),
            session_cookie: "abstractgateway_session".to_owned(),
        }
    }
}

/// Where a credential came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer`.
    Bearer,
    /// The session header.
    SessionHeader,
    /// The session cookie.
    SessionCookie,
}

/// The one credential of a request that counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Where it came from.
    pub source: CredentialSource,
    /// The secret text.
    pub secret: &'a str,
}

impl<'a> Credential<'a> {
    /// Picks the credential: a non-empty bearer token decides alone, then the session header, then the cookie.
    ///
    /// `header` looks a header up by its lower-case name; `cookies` are the values of all `Cookie` headers.
    pub fn of_request(
        names: &CredentialNames,
        header: impl Fn(&str) -> Option<&'a str>,
        cookies: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        if let Some(secret) = header("authorization").and_then(bearer) {
            return Some(Self {
                source: CredentialSource::Bearer,
                secret,
            });
        }
        let session = header(&names.session_header)
            .map(str::trim)
            .filter(|secret| !secret.is_empty());
        if let Some(secret) = session {
            return Some(Self {
                source: CredentialSource::SessionHeader,
                secret,
            });
        }
        let secret = cookies
            .into_iter()
            .find_map(|cookies| cookie(cookies, &names.session_cookie))?;
        Some(Self {
            source: CredentialSource::SessionCookie,
            secret,
        })
    }

    /// Whether the request acts through a browser session, so that writes need a CSRF token.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.source != CredentialSource::Bearer
    }
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The token of an `Authorization` header; the scheme's case does not matter (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_start().split_once([' ', '\t'])?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The first non-empty value of a cookie.
fn cookie<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        (key.trim() == name && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_credentials() {
        use CredentialSource::{Bearer, SessionCookie, SessionHeader};
        // authorization, session header, cookie header, expected
        type Case<'a> = (
            Option<&'a str>,
            Option<&'a str>,
            Option<&'a str>,
            Option<(CredentialSource, &'a str)>,
        );
        let cookie = Some("other=1; abstractgateway_session=c; abstractgateway_session=d");
        let cases: &[Case<'_>] = &[
            (None, None, None, None),
            (Some("Bearer b"), Some("h"), cookie, Some((Bearer, "b"))),
            (Some("bearer   b "), None, None, Some((Bearer, "b"))),
            (Some("Bearer "), Some("h"), cookie, Some((SessionHeader, "h"))),
            (Some("Bearer"), None, cookie, Some((SessionCookie, "c"))),
            (Some("Basic dTpw"), Some(" h "), None, Some((SessionHeader, "h"))),
            (Some("Basic dTpw"), None, None, None),
            (Some("Bearerb"), None, None, None),
            (None, Some("  "), cookie, Some((SessionCookie, "c"))),
            (
                None,
                None,
                Some("abstractgateway_session=\"q\""),
                Some((SessionCookie, "q")),
            ),
            (None, None, Some("abstractgateway_session="), None),
            (None, None, Some("xabstractgateway_session=c"), None),
            (None, None, Some("garbage;;=;"), None),
        ];
        for (authorization, session, cookies, expected) in cases {
            let header = |name: &str| match name {
                "authorization" => *authorization,
                "x-abstractgateway-session" => *session,
                _ => None,
            };
            let found = Credential::of_request(&CredentialNames::default(), header, *cookies);
            assert_eq!(
                found.map(|c| (c.source, c.secret)),
                *expected,
                "{authorization:?} {session:?} {cookies:?}"
            );
            assert_eq!(
                found.is_some_and(|credential| credential.is_session()),
                expected.is_some_and(|(source, _)| source != Bearer)
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let credential = Credential {
            source: CredentialSource::Bearer,
            secret: "canary",
        };
        assert_eq!(format!("{credential:?}"), "Credential { source: Bearer, .. }");
    }
}
