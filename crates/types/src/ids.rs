//! Identifiers as newtypes, so that a signature says which id it wants.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::PlaneId;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("invalid {kind} id '{text}'")]
pub struct ParseIdError {
    kind: &'static str,
    text: String,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Only the hyphenated form is an id; other spellings would give one run several names.
                let id = Uuid::parse_str(text).ok().filter(|_| text.len() == 36);
                id.map(Self).ok_or_else(|| ParseIdError { kind: $kind, text: text.to_owned() })
            }
        }
    };
}

uuid_id!(
    /// A run. New ids are UUIDv7, so that inserts go to the right edge of the index.
    RunId,
    "run"
);
uuid_id!(
    /// One logical step of a run; its `started` and its final record share it.
    StepId,
    "step"
);

/// The incarnation of a runner that holds leases: 63 random bits, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The full key of a run: ids are unique per plane only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Id of the run; leads the key, as in the tables.
    pub run: RunId,
    /// Plane that owns the run.
    pub plane: PlaneId,
}
