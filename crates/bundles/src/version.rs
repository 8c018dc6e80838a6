//! Which version of a bundle is the latest, and what comes after it.

use std::cmp::Ordering;

/// True for a version that starts with `draft.`, in any case.
#[must_use]
pub fn is_draft(version: &str) -> bool {
    version
        .get(..6)
        .is_some_and(|head| head.eq_ignore_ascii_case("draft."))
}

/// The latest of several `(version, created_at)`: drafts only if there is nothing else; all dotted
/// integers → numeric maximum over the first three parts; else the newest `created_at`, then the larger
/// text.
pub fn latest<'a>(versions: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<&'a str> {
    latest_published(versions.clone()).or_else(|| newest(versions))
}

/// The latest version that is no draft.
pub fn latest_published<'a>(versions: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<&'a str> {
    newest(versions.filter(|(version, _)| !is_draft(version)))
}

/// The latest version of any kind, drafts on a par with the rest.
pub fn newest<'a>(versions: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<&'a str> {
    let numeric = versions.clone().all(|(version, _)| numbers(version).is_some());
    versions
        .max_by(|(left, left_created), (right, right_created)| {
            let by_number = if numeric {
                by_number(left, right)
            } else {
                Ordering::Equal
            };
            by_number
                .then_with(|| left_created.cmp(right_created))
                .then_with(|| left.cmp(right))
        })
        .map(|(version, _)| version)
}

fn by_number(left: &str, right: &str) -> Ordering {
    numbers(left).cmp(&numbers(right))
}

/// The first three parts of a dotted integer, each as (digits without leading zeros, by length): any
/// number of digits compares right. `None` when a part is not a number.
fn numbers(version: &str) -> Option<[(usize, &str); 3]> {
    let mut parts = [(0, ""); 3];
    for (position, part) in version.split('.').enumerate() {
        if part.is_empty() || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        if let Some(slot) = parts.get_mut(position) {
            let digits = part.trim_start_matches('0');
            *slot = (digits.len(), digits);
        }
    }
    Some(parts)
}

/// The version a publish without explicit version gets: `0.0.0` for a new bundle, else the latest
/// published one with its third part raised, or with `.1` appended where that is not a number.
#[must_use]
pub fn next(latest_published: Option<&str>) -> String {
    let Some(latest) = latest_published else {
        return crate::manifest::DEFAULT_VERSION.to_owned();
    };
    let raised = numbers(latest).and_then(|_| {
        let mut parts = latest.split('.').map(str::parse::<u64>);
        let mut part = || parts.next().unwrap_or(Ok(0)).ok();
        let (major, minor, patch) = (part()?, part()?, part()?);
        Some(format!("{major}.{minor}.{}", patch.checked_add(1)?))
    });
    raised.unwrap_or_else(|| format!("{latest}.1"))
}

#[cfg(test)]
mod tests {
    use super::{is_draft, latest, newest, next};

    #[test]
    fn the_latest_version() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let table: [Row<'_>; 9] = [
            (&[], None),
            (&[("1.9.0", ""), ("1.10.0", "")], Some("1.10.0")),
            (&[("1.0.0", "2030"), ("2.0", "2020")], Some("2.0")),
            (&[("draft.z", "2030"), ("0.0.1", "2020")], Some("0.0.1")),
            (&[("DRAFT.1", "2030"), ("draft.2", "2020")], Some("DRAFT.1")),
            (&[("1.0.0", "2020"), ("beta", "2019")], Some("1.0.0")),
            (&[("1.0.0", "2020"), ("beta", "2020")], Some("beta")),
            (&[("1.2.3.9", "a"), ("1.2.3.1", "b")], Some("1.2.3.1")),
            (
                &[
                    ("99999999999999999999999.0.0", ""),
                    ("100000000000000000000000.0.0", ""),
                ],
                Some("100000000000000000000000.0.0"),
            ),
        ];
        for (versions, expected) in table {
            assert_eq!(latest(versions.iter().copied()), expected, "{versions:?}");
        }
        let mixed = [("draft.z", "2030"), ("0.0.1", "2020")];
        assert_eq!(newest(mixed.iter().copied()), Some("draft.z"));
    }

    #[test]
    fn the_next_version() {
        let table = [
            (None, "0.0.0"),
            (Some("0.0.0"), "0.0.1"),
            (Some("1.2"), "1.2.1"),
            (Some("3"), "3.0.1"),
            (Some("1.2.3.4"), "1.2.4"),
            (Some("beta"), "beta.1"),
            (Some("1.0.18446744073709551615"), "1.0.18446744073709551615.1"),
        ];
        for (latest, expected) in table {
            assert_eq!(next(latest), expected);
        }
    }

    #[test]
    fn drafts() {
        for (version, expected) in [
            ("draft.1", true),
            ("Draft.x", true),
            ("draft", false),
            ("draft-1", false),
            ("1.draft.", false),
            ("dräft.", false),
        ] {
            assert_eq!(is_draft(version), expected, "{version}");
        }
    }
}
