//! The `Range` header: one range of bytes. Several ranges are answered with the whole, as the standard allows, so that
//! nobody makes a node send a thousand parts.

use ag_artifacts::ByteRange;

/// What a request wants of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it (200).
    All,
    /// Part of it (206).
    Part(ByteRange),
    /// Nothing that is there (416).
    Unsatisfiable,
}

/// Reads the header for a content of `size` bytes.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = spec
        .split_once('-')
        .map(|(first, last)| (first.trim(), last.trim()))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
    };
    let range = match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(Some(0)) => return Wanted::Unsatisfiable,
            Some(Some(length)) => ByteRange {
                start: size.saturating_sub(length),
                end: None,
            },
            _ => return Wanted::All,
        },
        (first, "") => match number(first) {
            Some(Some(start)) => ByteRange { start, end: None },
            _ => return Wanted::All,
        },
        (first, last) => match (number(first).flatten(), number(last).flatten()) {
            (Some(start), Some(last)) if start <= last => ByteRange {
                start,
                end: Some(last.saturating_add(1)),
            },
            _ => return Wanted::All,
        },
    };
    match range.start < size {
        true => Wanted::Part(range),
        false => Wanted::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let part = |start, end| Wanted::Part(ByteRange { start, end });
        let cases = [
            (None, Wanted::All),
            (Some("bytes=0-"), part(0, None)),
            (Some("bytes=0-0"), part(0, Some(1))),
            (Some("bytes=2-4"), part(2, Some(5))),
            (Some("bytes=2-99"), part(2, Some(100))),
            (Some("bytes=-3"), part(7, None)),
            (Some("bytes=-99"), part(0, None)),
            (Some("bytes=10-"), Wanted::Unsatisfiable),
            (Some("bytes=-0"), Wanted::Unsatisfiable),
            (Some("bytes=4-2"), Wanted::All),
            (Some("bytes=0-1,3-4"), Wanted::All),
            (Some("bytes=+1-2"), Wanted::All),
            (Some("bytes=99999999999999999999-"), Wanted::All),
            (Some("bytes=-"), Wanted::All),
            (Some("items=0-1"), Wanted::All),
            (Some(""), Wanted::All),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 10), expected, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
