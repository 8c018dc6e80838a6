//! Timestamps as `timestamptz`, exact to the microsecond.

use ag_types::Timestamp;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, types::Oid},
};

/// Microseconds from 1970 to 2000, where the wire format begins.
const EPOCH_2000: i64 = 946_684_800_000_000;
/// First and last instant that the server stores, in microseconds since 1970; outside lie its infinities and errors.
const RANGE: (i64, i64) = (-210_866_803_200_000_000, 9_223_371_331_199_999_999);

/// A time parameter or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) Timestamp);

impl Stamp {
    /// The nearest instant that the server can store.
    pub(crate) fn clamped(time: Timestamp) -> Timestamp {
        Timestamp::from_micros(time.as_micros().clamp(RANGE.0, RANGE.1))
    }
}

impl From<Timestamp> for Stamp {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = Self::clamped(self.0).as_micros();
        Encode::<Postgres>::encode_by_ref(&(micros.saturating_sub(EPOCH_2000)), buf)
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Timestamp::from_micros(micros.saturating_add(EPOCH_2000))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_stay_storable() {
        for (micros, stored) in [(i64::MIN, RANGE.0), (0, 0), (i64::MAX, RANGE.1)] {
            let stamp = Stamp::clamped(Timestamp::from_micros(micros));
            assert_eq!(stamp.as_micros(), stored);
        }
    }
}
