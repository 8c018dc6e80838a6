//! Time, ids and randomness as parameters.

use rand::RngExt as _;
use uuid::Uuid;

use crate::{RunId, SessionId, StepId, Timestamp};

/// Source of the current time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Source of ids and randomness.
pub trait IdGen: Send + Sync {
    /// A fresh time-ordered UUID.
    fn uuid(&self) -> Uuid;
    /// 64 random bits.
    fn random(&self) -> u64;

    /// A fresh run id.
    fn run_id(&self) -> RunId {
        RunId(self.uuid())
    }
    /// A fresh step id.
    fn step_id(&self) -> StepId {
        StepId(self.uuid())
    }
    /// A fresh session id; positive, so that it fits a signed column.
    fn session_id(&self) -> SessionId {
        SessionId((self.random() >> 1) as i64)
    }
    /// 32 random hex digits.
    fn hex32(&self) -> String {
        format!("{:016x}{:016x}", self.random(), self.random())
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdGen for SystemIds {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
    fn random(&self) -> u64 {
        rand::rng().random()
    }
}
