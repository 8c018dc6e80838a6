//! Shared tokens: what an operator puts into `AUTH_TOKEN` and `AUTH_TOKENS`.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Tokens shorter than this are weak.
const WEAK_BELOW_CHARS: usize = 15;

/// Tokens that everybody tries first.
const WEAK: &[&str] = &[
    "dev-token",
    "devtoken",
    "token",
    "changeme",
    "password",
    "admin",
    "god",
    "zeus",
    "root",
    "superuser",
];

/// Hex digits of a fingerprint.
const FINGERPRINT_BYTES: usize = 6;

/// First 12 hex digits of the token's SHA-256: names a token in logs and answers without giving it away.
/// Empty for an empty token.
#[must_use]
pub fn fingerprint(token: &str) -> String {
    if token.is_empty() {
        String::new()
    } else {
        short_hex(&Sha256::digest(token.as_bytes()).into())
    }
}

fn short_hex(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..FINGERPRINT_BYTES])
}

/// The shared tokens of this gateway. Only digests are kept: equal length makes the comparison's time say
/// nothing about a token, its length included.
#[derive(Clone, Default)]
pub struct TokenSet {
    digests: Vec<[u8; 32]>,
    weak: usize,
}

impl TokenSet {
    /// Merges comma lists; blanks and duplicates go.
    pub fn from_lists<'a>(lists: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut set = Self::default();
        for list in lists {
            for token in list.expose_secret().split(',') {
                set.add(token.trim());
            }
        }
        set
    }

    /// Adds one token, for example the local one.
    pub fn add(&mut self, token: &str) {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if token.is_empty() || self.digests.contains(&digest) {
            return;
        }
        self.digests.push(digest);
        self.weak += usize::from(is_weak(token));
    }

    /// Whether nobody could get in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Number of distinct tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether one of the tokens is too short or too well known for an address that others can reach.
    #[must_use]
    pub fn has_weak(&self) -> bool {
        self.weak > 0
    }

    /// The fingerprint of the presented token if it is one of ours. Looks at every token, in constant time each.
    #[must_use]
    pub fn verify(&self, presented: &str) -> Option<String> {
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let found = self
            .digests
            .iter()
            .fold(subtle::Choice::from(0), |found, own| found | own.ct_eq(&digest));
        bool::from(found).then(|| short_hex(&digest))
    }
}

impl std::fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn is_weak(token: &str) -> bool {
    token.chars().count() < WEAK_BELOW_CHARS || WEAK.contains(&token.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lists: &[&str]) -> TokenSet {
        let lists: Vec<SecretString> = lists.iter().map(|list| SecretString::from(*list)).collect();
        TokenSet::from_lists(&lists)
    }

    #[test]
    fn lists_are_merged() {
        let cases: &[(&[&str], usize)] = &[
            (&[], 0),
            (&["", " , ,"], 0),
            (&["a"], 1),
            (&["a, b", "b,c"], 3),
            (&["a,a,a"], 1),
        ];
        for (lists, len) in cases {
            assert_eq!(set(lists).len(), *len, "{lists:?}");
            assert_eq!(set(lists).is_empty(), *len == 0, "{lists:?}");
        }
    }

    #[test]
    fn verification() {
        let tokens = set(&["first-shared-token, second"]);
        for (presented, valid) in [
            ("first-shared-token", true),
            ("second", true),
            ("first-shared-toke", false),
            ("first-shared-token ", false),
            ("SECOND", false),
            ("first-shared-token, second", false),
            ("", false),
        ] {
            assert_eq!(tokens.verify(presented).is_some(), valid, "{presented:?}");
        }
        assert_eq!(tokens.verify("second"), Some(fingerprint("second")));
        assert!(!TokenSet::default().verify("").is_some_and(|_| true));
    }

    #[test]
    fn weak_tokens() {
        for (token, weak) in [
            ("12345678901234", true),
            ("123456789012345", false),
            ("ééééééééééééééé", false),
            ("Password", true),
            ("superuser", true),
        ] {
            assert_eq!(set(&[token]).has_weak(), weak, "{token}");
        }
        assert!(set(&["a-long-enough-token,root"]).has_weak());
        assert!(!TokenSet::default().has_weak());
    }

    #[test]
    fn fingerprints() {
        // printf %s token | sha256sum
        assert_eq!(fingerprint("token"), "3c469e9d6c58");
        assert_eq!(fingerprint(""), "");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", set(&["canary"])), "TokenSet { len: 1, .. }");
    }
}
