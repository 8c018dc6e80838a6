//! The id that a request carries through logs.

use crate::local_token::random;

/// Longer ids of clients are cut: they go into every log line.
const MAX_CHARS: usize = 128;

/// The trimmed `X-Request-Id`, else 32 hex digits.
#[must_use]
pub fn request_id(header: Option<&str>) -> String {
    match header.map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => id.chars().take(MAX_CHARS).collect(),
        None => hex::encode(random::<16>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_or_made() {
        assert_eq!(request_id(Some(" abc ")), "abc");
        assert_eq!(request_id(Some(&"x".repeat(500))).len(), MAX_CHARS);
        for header in [None, Some(""), Some("  ")] {
            let id = request_id(header);
            assert!(
                id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{id}"
            );
        }
        assert_ne!(request_id(None), request_id(None));
    }
}
