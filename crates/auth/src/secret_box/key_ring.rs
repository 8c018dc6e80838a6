//! XChaCha20-Poly1305 under one of several keys.
//!
//! A sealed text is `v1.<key id>.<base64url(nonce, ciphertext, tag)>`. The nonce is 192 random bits, so that any
//! number of secrets can be sealed under one key without counting. Key id and context are authenticated with it.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretBox as Wiped, SecretString};

use super::{SecretBox, SecretBoxError};
use crate::local_token::random;

const VERSION: &str = "v1";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const LONGEST_ID: usize = 32;

/// Keys by id; the first one seals, all of them open.
pub struct KeyRing(Vec<Key>);

struct Key {
    id: String,
    bytes: Wiped<[u8; KEY_BYTES]>,
}

/// A text that holds no keys. Positions count from 1; nothing of the text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Nothing there.
    #[error("there is no encryption key")]
    Empty,
    /// Not `<id>:<key>`.
    #[error(
        "encryption key {position} is not <id>:<32 bytes in base64>, with an id of 1 to 32 of a-z, 0-9, - and _"
    )]
    Malformed {
        /// Which one.
        position: usize,
    },
    /// Two keys of one id.
    #[error("encryption key {position} has the id of an earlier one")]
    Twice {
        /// Which one.
        position: usize,
    },
}

impl KeyRing {
    /// Reads `<id>:<base64>`, several separated by commas or lines; lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let lines = text.expose_secret().lines().map(str::trim);
        let entries = lines
            .filter(|line| !line.starts_with('#'))
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in entries.enumerate() {
            let position = index + 1;
            let key = Key::parse(entry).ok_or(KeyRingError::Malformed { position })?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyRingError::Twice { position });
            }
            keys.push(key);
        }
        match keys.is_empty() {
            true => Err(KeyRingError::Empty),
            false => Ok(Self(keys)),
        }
    }

    /// A fresh key as [`Self::parse`] reads it.
    #[must_use]
    pub fn generate() -> SecretString {
        let id = hex::encode(random::<4>());
        let key = Wiped::new(Box::new(random::<KEY_BYTES>()));
        SecretString::from(format!("k{id}:{}", URL_SAFE_NO_PAD.encode(key.expose_secret())))
    }

    /// Id of the key that seals.
    #[must_use]
    pub fn active(&self) -> &str {
        &self.0[0].id
    }
}

impl Key {
    fn parse(entry: &str) -> Option<Self> {
        let (id, key) = entry.split_once(':')?;
        let id = id.trim();
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(legal) {
            return None;
        }
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        // Either alphabet, as tools make them.
        let alphabet = match key.contains(['-', '_']) {
            true => alphabet::URL_SAFE,
            false => alphabet::STANDARD,
        };
        let mut decoded = GeneralPurpose::new(&alphabet, config).decode(key.trim()).ok()?;
        let bytes: Option<[u8; KEY_BYTES]> = decoded.as_slice().try_into().ok();
        decoded.fill(0);
        Some(Self {
            id: id.to_owned(),
            bytes: Wiped::new(Box::new(bytes?)),
        })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }

    /// What is authenticated beside the secret.
    fn associated(&self, context: &str) -> String {
        format!("{VERSION}.{}.{context}", self.id)
    }
}

impl SecretBox for KeyRing {
    fn seal(&self, secret: &SecretString, context: &str) -> Result<String, SecretBoxError> {
        let key = self.0.first().ok_or(SecretBoxError::KeyMissing)?;
        let nonce = random::<NONCE_BYTES>();
        let associated = key.associated(context);
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: associated.as_bytes(),
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload);
        // Fails only beyond 256 GiB.
        let sealed = sealed.map_err(|_| SecretBoxError::Damaged)?;
        let body = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        Ok(format!("{VERSION}.{}.{body}", key.id))
    }

    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretBoxError> {
        let (id, body) = parts(sealed).ok_or(SecretBoxError::Damaged)?;
        let key = self.0.iter().find(|key| key.id == id);
        let key = key.ok_or(SecretBoxError::KeyMissing)?;
        let body = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| SecretBoxError::Damaged)?;
        let (nonce, ciphertext) = body
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SecretBoxError::Damaged)?;
        let associated = key.associated(context);
        let payload = Payload {
            msg: ciphertext,
            aad: associated.as_bytes(),
        };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| SecretBoxError::Damaged)?;
        match String::from_utf8(opened) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(error) => {
                error.into_bytes().fill(0);
                Err(SecretBoxError::Damaged)
            }
        }
    }

    fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(id, _)| id == self.active())
    }
}

/// Key id and body of a sealed text.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed
        .strip_prefix(VERSION)
        .and_then(|rest| rest.strip_prefix('.'))?
        .split_once('.')
}

/// Ids only.
impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.0.iter().map(|key| key.id.as_str());
        f.debug_list().entries(ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; KEY_BYTES]))
    }

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(&text.to_owned().into()).expect("keys")
    }

    #[test]
    fn sealed_texts_open_for_their_context_only() {
        let ring = ring(&key("a", 1));
        for secret in ["", "sk-canary", "é\u{0}\n"] {
            let secret = SecretString::from(secret);
            let sealed = ring.seal(&secret, "row 1").expect("sealed");
            assert!(sealed.starts_with("v1.a.") && !sealed.contains("canary"));
            let opened = ring.open(&sealed, "row 1").expect("opened");
            assert_eq!(opened.expose_secret(), secret.expose_secret());
            assert_eq!(ring.open(&sealed, "row 2").err(), Some(SecretBoxError::Damaged));
            let again = ring.seal(&secret, "row 1").expect("sealed");
            assert_ne!(sealed, again, "no nonce is used twice");
        }
    }

    #[test]
    fn damage_is_noticed_everywhere() {
        let ring = ring(&key("a", 1));
        let sealed = ring.seal(&"sk-1".into(), "row").expect("sealed");
        for position in 0..sealed.len() {
            for other in ["A", "B", ".", "~"] {
                let mut damaged = sealed.clone();
                damaged.replace_range(position..=position, other);
                assert_eq!(damaged == sealed, ring.open(&damaged, "row").is_ok(), "{damaged}");
            }
            assert!(ring.open(&sealed[..position], "row").is_err(), "{position}");
        }
        for foreign in ["", "v1", "v1.", "v1.a", "v1.a.", "v2.a.AAAA", "plain"] {
            assert!(ring.open(foreign, "row").is_err(), "{foreign}");
        }
    }

    #[test]
    fn keys_are_rotated_from_the_front() {
        let (old, new) = (key("2025", 1), key("2026", 2));
        let before = ring(&old);
        let sealed = before.seal(&"sk-1".into(), "row").expect("sealed");
        let both = ring(&format!("# the newest first\n{new}\n\n{old}\n"));
        assert_eq!((before.active(), both.active()), ("2025", "2026"));
        assert_eq!(both.open(&sealed, "row").expect("opened").expose_secret(), "sk-1");
        let resealed = both.seal(&"sk-1".into(), "row").expect("sealed");
        assert!(before.is_current(&sealed) && !both.is_current(&sealed) && both.is_current(&resealed));
        assert!(!both.is_current("no sealed text"));
        assert_eq!(
            before.open(&resealed, "row").err(),
            Some(SecretBoxError::KeyMissing)
        );
        // A ring that reused an id for another key.
        let impostor = ring(&key("2026", 3));
        assert_eq!(
            impostor.open(&resealed, "row").err(),
            Some(SecretBoxError::Damaged)
        );
    }

    #[test]
    fn what_is_no_key() {
        let good = key("a", 1);
        let cases = [
            (String::new(), KeyRingError::Empty),
            ("# nothing\n , ,".to_owned(), KeyRingError::Empty),
            ("canary".to_owned(), KeyRingError::Malformed { position: 1 }),
            ("a:canary".to_owned(), KeyRingError::Malformed { position: 1 }),
            (
                good.replacen('a', "A", 1),
                KeyRingError::Malformed { position: 1 },
            ),
            (key("", 1), KeyRingError::Malformed { position: 1 }),
            (key(&"x".repeat(33), 1), KeyRingError::Malformed { position: 1 }),
            (format!("{good},b:AAAA"), KeyRingError::Malformed { position: 2 }),
            (format!("{good}\n{good}"), KeyRingError::Twice { position: 2 }),
        ];
        for (text, expected) in cases {
            let error = KeyRing::parse(&text.clone().into()).expect_err("refused");
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("canary"));
        }
        for text in [
            good.trim_end_matches('=').to_owned(),
            format!(" {good} , "),
            KeyRing::generate().expose_secret().to_owned(),
        ] {
            let ring = KeyRing::parse(&text.clone().into()).expect("a key");
            assert!(!format!("{ring:?}").contains(text.split(':').nth(1).expect("key").trim()));
        }
    }
}
