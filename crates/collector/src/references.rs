//! Which blobs are named.

use std::collections::HashSet;

use ag_artifacts::BlobId;
use ag_store::{DocumentKind, Store, StoreError};
use ag_types::TenantScope;

/// Digits of a blob's name.
const DIGITS: usize = 64;

/// Those of `ids` that anything in the plane names.
pub(crate) async fn named(
    store: &dyn Store,
    plane: &TenantScope,
    ids: &[BlobId],
) -> Result<HashSet<BlobId>, StoreError> {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = store.blobs_in_use(plane, &texts).await?;
    let mut named: HashSet<BlobId> = rows.iter().filter_map(|text| BlobId::parse(text)).collect();
    let mut open: HashSet<BlobId> = ids.iter().filter(|id| !named.contains(id)).copied().collect();
    for kind in DocumentKind::ALL {
        if open.is_empty() {
            break;
        }
        let (_, documents) = store.documents(plane, *kind).await?;
        for document in documents {
            for id in mentioned(&document.body) {
                if open.remove(&id) {
                    named.insert(id);
                }
            }
        }
    }
    Ok(named)
}

/// Every window of 64 hexadecimal digits in a text.
fn mentioned(text: &str) -> impl Iterator<Item = BlobId> {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.split(move |c| !digit(c))
        .filter(|digits| digits.len() >= DIGITS)
        // Digits are single bytes, so every offset is a boundary.
        .flat_map(|digits| (0..=digits.len() - DIGITS).map(|at| &digits[at..at + DIGITS]))
        .filter_map(BlobId::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions() {
        let id = BlobId::of(b"x");
        let hex = id.to_string();
        for (text, found) in [
            (format!(r#"{{"sha256":"{hex}"}}"#), true),
            (format!("sha256:{hex}"), true),
            (format!("é{hex}é"), true),
            (format!("00{hex}"), true),
            (format!("{hex}00"), true),
            (hex[1..].to_owned(), false),
            (hex.to_uppercase(), false),
            (format!("{} {}", &hex[..32], &hex[32..]), false),
            (String::new(), false),
        ] {
            assert_eq!(mentioned(&text).any(|seen| seen == id), found, "{text}");
        }
    }
}
