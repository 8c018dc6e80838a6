//! Retired copies: blobs that a collection took out of the way and has not removed yet.

use std::time::{Duration, SystemTime};

use super::BlobId;

/// When a copy was retired, in microseconds since 1970 UTC. Part of its name, so that a collection removes exactly
/// the copy it has judged and never a newer one of the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetiredAt(u64);

impl RetiredAt {
    /// Digits of every `u64`.
    const DIGITS: usize = 20;

    /// The stamp of a time; times before 1970 are 1970.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// The time.
    pub fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(self.0)
    }

    /// Twenty digits, so that names sort as times do.
    pub fn name(self) -> String {
        format!("{:0width$}", self.0, width = Self::DIGITS)
    }

    /// Reads [`Self::name`]; `None` for anything else.
    pub fn parse(name: &str) -> Option<Self> {
        let plain = name.len() == Self::DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| name.parse().ok()).flatten().map(Self)
    }
}

/// A retired copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetiredBlob {
    pub id: BlobId,
    pub at: RetiredAt,
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_names_in_order() {
        let early = RetiredAt::of(SystemTime::UNIX_EPOCH + Duration::from_micros(7));
        let late = RetiredAt::of(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000));
        assert_eq!(early.name(), "00000000000000000007");
        assert!(early < late && early.name() < late.name());
        for stamp in [early, late, RetiredAt(u64::MAX)] {
            assert_eq!(RetiredAt::parse(&stamp.name()), Some(stamp));
        }
        assert_eq!(RetiredAt::of(late.time()), late);
        for bad in [
            "",
            "7",
            "0000000000000000000x",
            "+0000000000000000007",
            "99999999999999999999",
        ] {
            assert_eq!(RetiredAt::parse(bad), None, "{bad}");
        }
    }
}
