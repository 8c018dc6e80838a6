//! Promises of a [`Bell`].

use std::{collections::HashSet, time::Duration};

use ag_types::{RunKey, SessionId};
use tokio::time::{Instant, timeout};

use super::{LIMIT, key};
use crate::{Bell, Control, Hint, WakeUps};

/// A ring may take so long at most, whether or not anybody takes it.
const NO_WAIT: Duration = Duration::from_millis(500);

/// All promises that need no fault. `a` and `b` are two nodes.
///
/// # Panics
/// If a promise is broken.
pub async fn all(a: &dyn Bell, b: &dyn Bell) {
    hints_reach_the_pool(a, b).await;
    hints_are_shared(a, b).await;
    pools_are_apart(a, b).await;
    pulls_are_bounded(a, b).await;
    an_abandoned_call_loses_nothing(a, b).await;
    ringing_in_vain_is_harmless(a).await;
    controls_reach_their_session(a, b).await;
}

/// Hints of either node reach a listener, in calls of any size.
async fn hints_reach_the_pool(a: &dyn Bell, b: &dyn Bell) {
    let mut listener = a.listen("reach".into()).await;
    for (bell, from, n) in [(a, 0, 1), (b, 100, 3), (b, 200, 150)] {
        let keys: Vec<_> = (from..from + n).map(key).collect();
        bell.ring("reach", &keys).await;
        collect(&mut [&mut *listener], &keys, 64).await;
    }
    a.ring("reach", &[]).await;
}

/// Listeners of one pool share its hints: not each gets all.
async fn hints_are_shared(a: &dyn Bell, b: &dyn Bell) {
    let (mut one, mut two) = (a.listen("shared".into()).await, b.listen("shared".into()).await);
    let keys: Vec<_> = (0..40).map(key).collect();
    for key in &keys {
        a.ring("shared", &[*key]).await;
    }
    let handed_out = collect(&mut [&mut *one, &mut *two], &keys, 1).await;
    assert!(handed_out < 2 * keys.len(), "each listener got every hint");
}

/// A pool does not hear what concerns another.
async fn pools_are_apart(a: &dyn Bell, b: &dyn Bell) {
    let (mut left, mut right) = (a.listen("left".into()).await, b.listen("right-1".into()).await);
    for n in 0..10 {
        b.ring("left", &[key(n)]).await;
        a.ring("right-1", &[key(n + 1_000)]).await;
    }
    let lefts: Vec<_> = (0..10).map(key).collect();
    let rights: Vec<_> = (1_000..1_010).map(key).collect();
    // `collect` refuses what it does not expect.
    collect(&mut [&mut *left], &lefts, 4).await;
    collect(&mut [&mut *right], &rights, 4).await;
}

/// A call never brings more than was asked for, however many keys share a message, and the rest is not lost.
async fn pulls_are_bounded(a: &dyn Bell, b: &dyn Bell) {
    let (mut one, mut two) = (a.listen("bounded".into()).await, b.listen("bounded".into()).await);
    let keys: Vec<_> = (0..100).map(key).collect();
    a.ring("bounded", &keys).await;
    collect(&mut [&mut *one, &mut *two], &keys, 3).await;
    a.ring("bounded", &keys[..5]).await;
    collect(&mut [&mut *one], &keys[..5], 1).await;
}

/// A caller may stop waiting at any time.
async fn an_abandoned_call_loses_nothing(a: &dyn Bell, b: &dyn Bell) {
    let mut listener = a.listen("abandoned".into()).await;
    let keys: Vec<_> = (0..30).map(key).collect();
    let mut missing: HashSet<_> = keys.iter().copied().collect();
    let end = Instant::now() + LIMIT;
    let mut rest = keys.chunks(3);
    while !missing.is_empty() {
        if let Some(keys) = rest.next() {
            b.ring("abandoned", keys).await;
        }
        let patience = Duration::from_millis(1 + missing.len() as u64 % 5);
        if let Ok(got) = timeout(patience, listener.next(2)).await {
            assert!(got.len() <= 2, "{} hints for 2 places", got.len());
            for hint in &got {
                missing.remove(&hint.key);
            }
        }
        assert!(Instant::now() < end, "{} hints were lost", missing.len());
    }
}

/// Nobody listens, or far too much is rung: no call waits or fails.
async fn ringing_in_vain_is_harmless(a: &dyn Bell) {
    let keys: Vec<_> = (0..2_000).map(key).collect();
    quick(a.ring("nobody", &keys)).await;
    quick(a.control(SessionId(404), Control::Drain)).await;
}

/// Control messages reach the session they are for, in order, and no other.
async fn controls_reach_their_session(a: &dyn Bell, b: &dyn Bell) {
    let (mine, other) = (SessionId(7_001), SessionId(7_002));
    let mut controls = a.controls(mine).await;
    let mut others = b.controls(other).await;
    let wanted = [Control::Cancel(key(1)), Control::Cancel(key(2)), Control::Drain];
    for control in wanted {
        b.control(mine, control).await;
    }
    for control in wanted {
        let got = timeout(LIMIT, controls.recv()).await;
        assert_eq!(got.expect("a control message in time"), Some(control));
    }
    a.control(other, Control::Drain).await;
    let got = timeout(LIMIT, others.recv()).await;
    assert_eq!(
        got.expect("a control message in time"),
        Some(Control::Drain),
        "the first for it"
    );
}

/// While the broker is away: rings return at once, the bell says that it is ill, and a listener says once, and not
/// over and over, that its caller should look for candidates.
///
/// # Panics
/// If a promise is broken.
pub async fn away(bell: &dyn Bell, listener: &mut dyn WakeUps) {
    let told = timeout(LIMIT, listener.next(8))
        .await
        .expect("a word about the absence");
    assert!(told.is_empty(), "hints from nowhere");
    super::until("an unhealthy bell", || !bell.healthy()).await;
    for n in 0..100 {
        quick(bell.ring("default", &[key(n)])).await;
    }
    quick(bell.control(SessionId(1), Control::Drain)).await;
    let again = timeout(Duration::from_millis(300), listener.next(8)).await;
    assert!(again.is_err(), "a listener must not spin while the bell is away");
}

/// After a fault: a listener says that candidates should be looked up, the bell becomes healthy, and hints and control
/// messages arrive again. Returns the time that took.
///
/// # Panics
/// If that takes longer than [`LIMIT`].
pub async fn back(a: &dyn Bell, b: &dyn Bell, listener: &mut dyn WakeUps) -> Duration {
    let start = Instant::now();
    let told = timeout(LIMIT, async { while !listener.next(8).await.is_empty() {} }).await;
    assert!(told.is_ok(), "nobody said that hints were lost");
    let mut controls = b.controls(SessionId(8_001)).await;
    // What is rung while a broker comes back may be lost; a sweep would ring again.
    let hints = async {
        loop {
            a.ring("default", &[key(77)]).await;
            a.control(SessionId(8_001), Control::Drain).await;
            if let Ok(got) = timeout(Duration::from_millis(50), listener.next(8)).await
                && got.iter().any(|hint| hint.key == key(77))
            {
                break;
            }
        }
        while timeout(Duration::from_millis(50), controls.recv()).await.is_err() {
            a.control(SessionId(8_001), Control::Drain).await;
        }
    };
    assert!(timeout(LIMIT, hints).await.is_ok(), "no hints after the fault");
    super::until("a healthy bell", || a.healthy() && b.healthy()).await;
    start.elapsed()
}

async fn quick(ring: impl Future<Output = ()>) {
    assert!(timeout(NO_WAIT, ring).await.is_ok(), "a ring must not wait");
}

/// Hears until each key came, at most `max` with each call. Returns how many hints came altogether.
async fn collect(listeners: &mut [&mut dyn WakeUps], keys: &[RunKey], max: usize) -> usize {
    let mut missing: HashSet<_> = keys.iter().copied().collect();
    let end = Instant::now() + LIMIT;
    let mut count = 0;
    while !missing.is_empty() {
        for listener in &mut *listeners {
            // With one listener a call may wait; of several, each is asked in turn.
            let Ok(got) = timeout(Duration::from_millis(20), listener.next(max)).await else {
                continue;
            };
            assert!(got.len() <= max, "{} hints for {max} places", got.len());
            for Hint { key, .. } in got {
                assert!(keys.contains(&key), "a hint that nobody gave: {key:?}");
                missing.remove(&key);
                count += 1;
            }
        }
        assert!(
            Instant::now() < end,
            "{} of {} hints did not arrive",
            missing.len(),
            keys.len()
        );
    }
    count
}
