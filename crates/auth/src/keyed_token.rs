//! Tokens of registered users: a public id that is looked up, and a 256-bit secret that is compared.
//!
//! The text is `agw_<16 hex>_<43 base64url>`. A keyed hash of it is stored, so that a stolen table opens
//! nothing, and checking one costs a look-up and an HMAC, however many users there are.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::local_token::random;

const PREFIX: &str = "agw_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;

/// The key of the token hashes of one installation.
pub struct TokenHashKey(SecretBox<[u8; 32]>);

/// What is stored in place of a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenHash([u8; 32]);

/// A new token; the text is shown once.
#[derive(Debug)]
pub struct GeneratedToken {
    /// The public id to look it up by.
    pub id: String,
    /// The whole text.
    pub token: SecretString,
}

/// The parts of a presented token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenParts<'a> {
    /// The public id.
    pub id: &'a str,
    secret: &'a str,
}

impl GeneratedToken {
    /// A token from fresh randomness.
    #[must_use]
    pub fn new() -> Self {
        Self::from_random(random(), random())
    }

    /// A token from the given randomness.
    #[must_use]
    pub fn from_random(id: [u8; 8], secret: [u8; 32]) -> Self {
        let id = hex::encode(id);
        let token = SecretString::from(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)));
        Self { id, token }
    }
}

impl Default for GeneratedToken {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> TokenParts<'a> {
    /// Splits a presented token; `None` if it is of another kind.
    #[must_use]
    pub fn parse(presented: &'a str) -> Option<Self> {
        let (id, secret) = presented.strip_prefix(PREFIX)?.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (id.bytes().all(hex) && secret.len() == SECRET_CHARS && secret.bytes().all(base64))
            .then_some(Self { id, secret })
    }
}

impl std::fmt::Debug for TokenParts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenParts")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TokenHashKey {
    /// A key from 32 bytes of a secret.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(key)))
    }

    /// The hash of a token; its id is part of it, so that hashes cannot be swapped between rows.
    #[must_use]
    pub fn hash(&self, parts: TokenParts<'_>) -> TokenHash {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes keys of any length");
        mac.update(parts.id.as_bytes());
        mac.update(b"_");
        mac.update(parts.secret.as_bytes());
        TokenHash(mac.finalize().into_bytes().into())
    }

    /// Whether the stored hash is that of the presented token, in constant time.
    #[must_use]
    pub fn verify(&self, parts: TokenParts<'_>, stored: TokenHash) -> bool {
        self.hash(parts).0.ct_eq(&stored.0).into()
    }
}

impl std::fmt::Debug for TokenHashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHashKey")
    }
}

impl TokenHash {
    /// From a stored value.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For storing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_tokens_verify() {
        let key = TokenHashKey::new([7; 32]);
        let made = GeneratedToken::new();
        let parts = TokenParts::parse(made.token.expose_secret()).expect("our format");
        assert_eq!(parts.id, made.id);
        let stored = TokenHash::from_bytes(*key.hash(parts).as_bytes());
        assert!(key.verify(parts, stored));
        assert!(!TokenHashKey::new([8; 32]).verify(parts, stored));

        let other = GeneratedToken::from_random([1; 8], [2; 32]);
        let other = TokenParts::parse(other.token.expose_secret()).expect("our format");
        assert!(!key.verify(other, stored));
        assert!(!key.verify(
            TokenParts {
                id: other.id,
                ..parts
            },
            stored
        ));
    }

    #[test]
    fn foreign_texts_are_not_split() {
        let made = GeneratedToken::from_random([0xab; 8], [0xff; 32]);
        let good = made.token.expose_secret();
        assert!(TokenParts::parse(good).is_some());
        let bad = [
            String::new(),
            "agw_".to_owned(),
            good[1..].to_owned(),
            format!("{good}x"),
            good[..good.len() - 1].to_owned(),
            good.replace("ab", "AB"),
            good.replacen("_", "-", 2),
            format!("agw_{}", "é".repeat(40)),
            format!("agw_{}", "A".repeat(43)),
        ];
        for text in bad {
            assert!(TokenParts::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let made = GeneratedToken::from_random([1; 8], [2; 32]);
        let secret = URL_SAFE_NO_PAD.encode([2; 32]);
        let parts = TokenParts::parse(made.token.expose_secret()).expect("our format");
        let text = format!("{made:?} {parts:?} {:?}", TokenHashKey::new([3; 32]));
        assert!(
            !text.contains(&secret) && text.contains("0101010101010101"),
            "{text}"
        );
    }
}
