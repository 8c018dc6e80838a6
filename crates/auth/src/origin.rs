//! Which browser origins may call.

use crate::glob;

/// The `ALLOWED_ORIGINS` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPolicy {
    entries: Vec<String>,
}

/// Origins longer than this are refused unread; a host name has at most 253 characters.
const MAX_ORIGIN_BYTES: usize = 2_048;

impl OriginPolicy {
    /// `*` alone allows all; an entry with `*`, `?` or `[` is a case-sensitive shell glob over the whole origin,
    /// others must be equal. An empty list denies all.
    pub fn new(entries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            entries: entries.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether a request with this `Origin` header may go on; without the header there is nothing to check.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        origin.len() <= MAX_ORIGIN_BYTES && self.entries.iter().any(|entry| entry_allows(entry, origin))
    }

    /// Entries that let in origins of other machines by a wildcard; a reason for a warning at start.
    pub fn wildcards_beyond_loopback(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .map(String::as_str)
            .filter(|entry| glob::is_glob(entry) && !is_loopback(entry))
    }
}

fn entry_allows(entry: &str, origin: &str) -> bool {
    if glob::is_glob(entry) {
        glob::matches(entry, origin)
    } else {
        entry == origin
    }
}

/// Whether the host of the entry is a loopback name, the wildcard being in the port only.
fn is_loopback(entry: &str) -> bool {
    let host = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_table() {
        let default: &[&str] = &["http://localhost:*", "http://127.0.0.1:*"];
        let cases: &[(&[&str], Option<&str>, bool)] = &[
            (default, None, true),
            (default, Some("http://localhost:3000"), true),
            (default, Some("http://127.0.0.1:8080"), true),
            (default, Some("http://localhost"), false),
            (default, Some("https://localhost:3000"), false),
            (default, Some("http://LOCALHOST:3000"), false),
            (default, Some("http://localhost.evil.io:80"), false),
            (default, Some("null"), false),
            (default, Some(""), false),
            (&["*"], Some("https://anything.example"), true),
            (&["*"], Some("null"), true),
            (&["https://*.x.io"], Some("https://a.x.io"), true),
            (&["https://*.x.io"], Some("https://x.io"), false),
            (&["http://a?:80"], Some("http://ab:80"), true),
            (&["http://a?:80"], Some("http://abc:80"), false),
            (&["http://h[12]:80"], Some("http://h2:80"), true),
            (&["http://h[12]:80"], Some("http://h3:80"), false),
            (&["https://x.io"], Some("https://x.io"), true),
            (&["https://x.io"], Some("https://x.io/"), false),
            (&["https://x.io"], Some("https://X.io"), false),
            (&[], Some("http://localhost:1"), false),
            (&[], None, true),
        ];
        for (entries, origin, expected) in cases {
            let policy = OriginPolicy::new(entries.iter().copied());
            assert_eq!(policy.allows(*origin), *expected, "{entries:?} {origin:?}");
        }
    }

    #[test]
    fn oversized_origins_are_refused() {
        let origin = format!("https://{}", "a".repeat(3_000));
        assert!(!OriginPolicy::new(["*"]).allows(Some(&origin)));
    }

    #[test]
    fn wildcards_worth_a_warning() {
        let policy = OriginPolicy::new([
            "http://localhost:*",
            "http://127.0.0.1:*",
            "http://[::1]:*",
            "https://x.io",
            "*",
            "https://*.x.io",
            "http://localhost*",
        ]);
        let found: Vec<&str> = policy.wildcards_beyond_loopback().collect();
        assert_eq!(found, ["*", "https://*.x.io", "http://localhost*"]);
    }
}
