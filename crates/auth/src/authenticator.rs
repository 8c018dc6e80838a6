//! From a credential to a principal.

use std::sync::Arc;

use crate::{Credential, CredentialSource, Principal, TokenSet};

/// A caller who proved to be one.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// The caller.
    pub principal: Arc<Principal>,
    /// The kind of credential; session credentials need a CSRF token to write.
    pub source: CredentialSource,
}

/// What a credential is worth.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// It proves who is calling.
    Authenticated(Authenticated),
    /// There is none.
    Missing,
    /// It proves nothing.
    Invalid,
}

/// Something that knows credentials. Costs no more than a look-up and a hash: slow checks of passwords belong
/// behind the lockout, in the login operation.
pub trait Authenticator: Send + Sync {
    /// Judges the credential of a request.
    fn authenticate(&self, credential: Option<Credential<'_>>) -> Authentication;

    /// Whether anybody could get in; if not, the answer is 503 and not 401.
    fn is_configured(&self) -> bool;
}

/// Shared tokens: whoever has one is the local admin. Knows no sessions.
#[derive(Debug, Clone)]
pub struct SharedTokens {
    tokens: TokenSet,
}

impl SharedTokens {
    /// Accepts these tokens.
    #[must_use]
    pub fn new(tokens: TokenSet) -> Self {
        Self { tokens }
    }
}

impl Authenticator for SharedTokens {
    fn authenticate(&self, credential: Option<Credential<'_>>) -> Authentication {
        let Some(credential) = credential else {
            return Authentication::Missing;
        };
        let fingerprint = match credential.source {
            CredentialSource::Bearer => self.tokens.verify(credential.secret),
            CredentialSource::SessionHeader | CredentialSource::SessionCookie => None,
        };
        match fingerprint {
            Some(fingerprint) => Authentication::Authenticated(Authenticated {
                principal: Arc::new(Principal::local_admin(fingerprint)),
                source: credential.source,
            }),
            None => Authentication::Invalid,
        }
    }

    fn is_configured(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// Several authenticators, asked in order: the user registry, then browser sessions, then the shared tokens.
#[derive(Clone, Default)]
pub struct FirstMatch(Vec<Arc<dyn Authenticator>>);

impl FirstMatch {
    /// Asks them in this order.
    #[must_use]
    pub fn new(members: Vec<Arc<dyn Authenticator>>) -> Self {
        Self(members)
    }
}

impl Authenticator for FirstMatch {
    fn authenticate(&self, credential: Option<Credential<'_>>) -> Authentication {
        if credential.is_none() {
            return Authentication::Missing;
        }
        for member in &self.0 {
            if let found @ Authentication::Authenticated(_) = member.authenticate(credential) {
                return found;
            }
        }
        Authentication::Invalid
    }

    fn is_configured(&self) -> bool {
        self.0.iter().any(|member| member.is_configured())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(token: &str) -> SharedTokens {
        let mut tokens = TokenSet::default();
        tokens.add(token);
        SharedTokens::new(tokens)
    }

    fn verdict(authenticator: &dyn Authenticator, credential: Option<Credential<'_>>) -> String {
        match authenticator.authenticate(credential) {
            Authentication::Authenticated(found) => found.principal.token_fingerprint.clone(),
            Authentication::Missing => "missing".to_owned(),
            Authentication::Invalid => "invalid".to_owned(),
        }
    }

    #[test]
    fn shared_tokens() {
        let authenticator = shared("right-token");
        let credential = |source, secret| Some(Credential { source, secret });
        let own = crate::fingerprint("right-token");
        let cases = [
            (None, "missing"),
            (credential(CredentialSource::Bearer, "right-token"), own.as_str()),
            (credential(CredentialSource::Bearer, "wrong-token"), "invalid"),
            (
                credential(CredentialSource::SessionCookie, "right-token"),
                "invalid",
            ),
            (
                credential(CredentialSource::SessionHeader, "right-token"),
                "invalid",
            ),
        ];
        for (credential, expected) in cases {
            assert_eq!(verdict(&authenticator, credential), expected, "{credential:?}");
        }
    }

    #[test]
    fn members_are_asked_in_order() {
        let chain = FirstMatch::new(vec![Arc::new(shared("a")), Arc::new(shared("b"))]);
        let bearer = |secret| {
            Some(Credential {
                source: CredentialSource::Bearer,
                secret,
            })
        };
        assert_eq!(verdict(&chain, bearer("b")), crate::fingerprint("b"));
        assert_eq!(verdict(&chain, bearer("c")), "invalid");
        assert_eq!(verdict(&chain, None), "missing");
        assert!(chain.is_configured());
        assert!(!FirstMatch::default().is_configured());
        assert!(!SharedTokens::new(TokenSet::default()).is_configured());
        assert_eq!(
            verdict(&SharedTokens::new(TokenSet::default()), bearer("")),
            "invalid"
        );
    }
}
