//! Time, ids and randomness as parameters.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

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

/// The machine's clock, corrected towards the clock that others go by: that of the database of a cluster. Without it, a
/// machine whose clock is ahead would end waits of other machines early.
pub struct SteeredClock {
    machine: Arc<dyn Clock>,
    /// What is added to the machine's time, in microseconds.
    correction: AtomicI64,
}

impl SteeredClock {
    /// Differences below this are left alone: they cannot be told from the time that asking takes.
    const TOLERANCE_MICROS: i64 = 100_000;

    /// A clock without a correction yet.
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        Self {
            machine,
            correction: AtomicI64::new(0),
        }
    }

    /// What the machine says.
    pub fn machine(&self) -> Timestamp {
        self.machine.now()
    }

    /// Takes note of the others' time, which was asked for at `sent` and known at `received` by the machine's clock. The
    /// correction when it changed, in microseconds.
    pub fn learn(&self, sent: Timestamp, truth: Timestamp, received: Timestamp) -> Option<i64> {
        let trip = received.micros_since(sent).max(0);
        let ahead = truth.micros_since(sent.plus_micros(trip / 2));
        let known = self.correction.load(Ordering::Relaxed);
        let tolerated = |off: i64| off.saturating_abs() <= Self::TOLERANCE_MICROS.saturating_add(trip / 2);
        if tolerated(ahead.saturating_sub(known)) {
            return None;
        }
        let correction = if tolerated(ahead) { 0 } else { ahead };
        self.correction.store(correction, Ordering::Relaxed);
        Some(correction)
    }
}

impl Clock for SteeredClock {
    fn now(&self) -> Timestamp {
        self.machine()
            .plus_micros(self.correction.load(Ordering::Relaxed))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steered_clock_follows_what_is_far_off() {
        let at = |micros: i64| Timestamp::from_micros(1_000_000_000 + micros);
        let (second, hour) = (1_000_000, 3_600_000_000);
        // Sent, truth, received; the correction in force afterwards, and whether it was news.
        let cases = [
            (at(0), at(90_000), at(0), 0, None),
            (at(0), at(hour), at(0), hour, Some(hour)),
            (at(0), at(hour + 40_000), at(0), hour, None),
            (
                at(0),
                at(-hour),
                at(2 * second),
                -hour - second,
                Some(-hour - second),
            ),
            // A slow answer says less.
            (at(0), at(1_500_000), at(2 * second), 0, Some(0)),
        ];
        let clock = SteeredClock::new(Arc::new(SystemClock));
        for (n, (sent, truth, received, correction, news)) in cases.into_iter().enumerate() {
            assert_eq!(clock.learn(sent, truth, received), news, "case {n}");
            assert_eq!(clock.correction.load(Ordering::Relaxed), correction, "case {n}");
        }
        clock.learn(at(0), at(hour), at(0));
        let ahead = clock.now().micros_since(SystemClock.now());
        assert!((ahead - hour).abs() < 10 * second, "{ahead}");
    }
}
