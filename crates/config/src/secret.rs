//! How secrets are written out: never.

use secrecy::SecretString;
use serde::Serializer;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// `serialize_with` for an optional secret: says whether it is set, not what it is.
pub(crate) fn redact<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some(REDACTED),
        None => serializer.serialize_none(),
    }
}
