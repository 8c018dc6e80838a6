//! Growing pauses between attempts to reach a broker.

use std::time::Duration;

use rand::RngExt as _;

/// Pauses that double up to a limit. Each is spread over its upper half, so that the nodes of a cluster do not come
/// back to a restarted broker in the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            first,
            limit,
            next: first,
        }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.limit);
        spread(pause)
    }

    /// Starts again with the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The pause before an attempt, counted from one, where somebody else counts.
    pub(crate) fn of_attempt(first: Duration, limit: Duration, attempt: usize) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).map_or(16, |n| n.min(16));
        spread(first.saturating_mul(1 << doublings).min(limit))
    }
}

fn spread(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);
    const LIMIT: Duration = Duration::from_millis(100);

    #[test]
    fn pauses_grow_to_the_limit_and_start_again() {
        let mut backoff = Backoff::new(FIRST, LIMIT);
        for full in [10, 20, 40, 80, 100, 100] {
            let full = Duration::from_millis(full);
            let pause = backoff.pause();
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }

    #[test]
    fn any_attempt_has_a_bounded_pause() {
        for attempt in [0, 1, 2, 5, 64, usize::MAX] {
            let pause = Backoff::of_attempt(FIRST, LIMIT, attempt);
            assert!(
                pause >= FIRST / 2 && pause <= LIMIT,
                "attempt {attempt}: {pause:?}"
            );
        }
    }
}
