//! Points in time: UTC microseconds, with the wire form of the contract.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is not an ISO 8601 instant.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("not an ISO timestamp: '{0}'")]
pub struct ParseTimestampError(String);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant moved by a signed number of microseconds; saturates at the ends.
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant; negative if it lies before.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant as a `jiff` value; out-of-range instants become the epoch.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Appends the wire form in quotes.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(Text::of(self).as_bytes());
        out.push(b'"');
    }

    /// Whole seconds with `+00:00`, as schedules and summaries write it.
    pub fn to_seconds_text(self) -> String {
        self.to_jiff().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    }

    /// Microseconds and `Z`, as deprecations and connection profiles write it.
    pub fn to_zulu_text(self) -> String {
        self.to_string().replace("+00:00", "Z")
    }

    /// Reads ISO 8601 with `Z`, an offset, or none (then UTC); a bare date is midnight.
    ///
    /// # Errors
    /// When the text is not such an instant.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let trimmed = text.trim();
        let fail = || ParseTimestampError(text.to_owned());
        if let Ok(instant) = trimmed.parse::<jiff::Timestamp>() {
            return Ok(Self(instant.as_microsecond()));
        }
        let civil: jiff::civil::DateTime = trimmed.parse().map_err(|_| fail())?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| fail())?;
        Ok(Self(zoned.timestamp().as_microsecond()))
    }
}

/// `2026-11-20T11:32:02.790001+00:00`; without a fraction when the microseconds are zero (kernel spec, conventions).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::of(*self).as_str())
    }
}

/// The wire form on the stack. Two of these stand in every record, so neither the general formatter of instants nor
/// that of numbers is cheap enough: they were a twentieth of the cost of a short run.
struct Text {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Text {
    /// Six digits of the year and a sign are the most that 64 bits of microseconds need.
    const LONGEST: usize = 40;

    fn of(instant: Timestamp) -> Self {
        let secs = instant.0.div_euclid(1_000_000);
        let micros = instant.0.rem_euclid(1_000_000);
        let (year, month, day) = civil_of_days(secs.div_euclid(86_400));
        let sod = secs.rem_euclid(86_400);
        let mut text = Self {
            bytes: [0; Self::LONGEST],
            len: 0,
        };
        if year < 0 {
            text.push(b"-");
        }
        let year = year.unsigned_abs();
        text.digits(year, if year < 10_000 { 4 } else { 6 });
        for (before, number) in [
            (b'-', month),
            (b'-', day),
            (b'T', sod / 3_600),
            (b':', sod / 60 % 60),
            (b':', sod % 60),
        ] {
            text.push(&[before]);
            text.digits(number.unsigned_abs(), 2);
        }
        if micros != 0 {
            text.push(b".");
            text.digits(micros.unsigned_abs(), 6);
        }
        text.push(b"+00:00");
        text
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn digits(&mut self, mut number: u64, width: usize) {
        for place in (0..width).rev() {
            self.bytes[self.len + place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.len += width;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Year, month and day of a number of days since the epoch (H. Hinnant's civil-from-days).
const fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + (month <= 2) as i64, month, day)
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Text::of(*self).as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_follow_the_contract() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (1_795_174_322_790_001, "2026-11-20T11:32:02.790001+00:00"),
            (951_782_400_000_000, "2000-02-29T00:00:00+00:00"),
            (-1, "1969-12-31T23:59:59.999999+00:00"),
            (4_102_444_799_000_010, "2099-12-31T23:59:59.000010+00:00"),
        ] {
            assert_eq!(
                serde_json::to_value(Timestamp::from_micros(micros)).expect("a text"),
                text
            );
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(Timestamp::parse(text), Ok(Timestamp::from_micros(micros)));
        }
    }

    #[test]
    fn the_ends_of_the_range_have_texts() {
        for micros in [i64::MIN, i64::MAX] {
            assert!(Timestamp::from_micros(micros).to_string().ends_with("+00:00"));
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let expected = Ok(Timestamp::from_micros(1_577_836_800_000_000));
        for text in [
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01 00:00:00+00:00",
            "2020-01-01",
            "2020-01-01T02:00:00+02:00",
        ] {
            assert_eq!(Timestamp::parse(text), expected, "{text}");
        }
        assert!(Timestamp::parse("garbage").is_err());
    }
}
