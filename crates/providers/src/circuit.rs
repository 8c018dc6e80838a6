//! Circuit breaker: a server that keeps failing is left alone for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::ProviderError;

/// When circuits open and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CircuitSettings {
    /// Failed calls in a row (a call with its retries counts once).
    pub failures: u32,
    /// How long the circuit stays open; then one probe is let through.
    pub open_for: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    /// Calls are refused before this time.
    open_until: Option<Instant>,
}

/// Circuits by key (server and model). Only failing keys take space.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    settings: CircuitSettings,
    circuits: Mutex<HashMap<String, Circuit>>,
}

/// Keys kept at most; beyond, closed circuits are forgotten first.
const MAX_KEYS: usize = 10_000;

impl CircuitBreaker {
    /// All circuits closed.
    #[must_use]
    pub fn new(settings: CircuitSettings) -> Self {
        Self {
            settings,
            circuits: Mutex::default(),
        }
    }

    /// Lets a call through or refuses it. After the open time the first caller is let through as a probe and the
    /// circuit stays closed to others for another period, so that a server that just came back is not flooded.
    ///
    /// # Errors
    /// [`ProviderError::CircuitOpen`].
    pub fn admit(&self, key: &str, now: Instant) -> Result<(), ProviderError> {
        let mut circuits = self.circuits.lock();
        let Some(circuit) = circuits.get_mut(key) else {
            return Ok(());
        };
        match circuit.open_until {
            Some(until) if now < until => Err(ProviderError::CircuitOpen {
                key: key.to_owned(),
                retry_in: until - now,
            }),
            Some(_) => {
                circuit.open_until = Some(now + self.settings.open_for);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Closes the circuit.
    pub fn succeeded(&self, key: &str) {
        self.circuits.lock().remove(key);
    }

    /// Counts a failed call.
    pub fn failed(&self, key: &str, now: Instant) {
        let mut circuits = self.circuits.lock();
        if circuits.len() >= MAX_KEYS && !circuits.contains_key(key) {
            circuits.retain(|_, circuit| circuit.open_until.is_some_and(|until| until > now));
            if circuits.len() >= MAX_KEYS {
                return;
            }
        }
        let circuit = circuits.entry(key.to_owned()).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures >= self.settings.failures {
            circuit.open_until = Some(now + self.settings.open_for);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_five_and_lets_one_probe_through() {
        let breaker = CircuitBreaker::default();
        let start = Instant::now();
        for _ in 0..4 {
            breaker.failed("k", start);
            assert!(breaker.admit("k", start).is_ok());
        }
        breaker.failed("k", start);
        assert!(breaker.admit("k", start + Duration::from_secs(59)).is_err());
        assert!(breaker.admit("other", start).is_ok());
        let later = start + Duration::from_secs(61);
        assert!(breaker.admit("k", later).is_ok(), "probe");
        assert!(breaker.admit("k", later).is_err(), "only one probe");
        breaker.succeeded("k");
        assert!(breaker.admit("k", later).is_ok());
    }
}
