//! Promises of [`SharedCounters`].

use std::time::Duration;

use super::LIMIT;
use crate::{Count, Expiry, SharedCounters};

const HOUR: Duration = Duration::from_secs(3_600);

/// All promises that need no fault. `a` and `b` are two nodes.
///
/// # Panics
/// If a promise is broken.
pub async fn all(a: &dyn SharedCounters, b: &dyn SharedCounters) {
    nodes_count_together(a, b).await;
    counters_end(a, b).await;
    places_are_given_back(a, b).await;
}

async fn nodes_count_together(a: &dyn SharedCounters, b: &dyn SharedCounters) {
    assert_eq!(a.get("together").await, Count::default());
    for expiry in [Expiry::Fixed(HOUR), Expiry::Renewed(HOUR)] {
        assert_eq!(a.add("together", 1, expiry).await.value, 1);
        assert_eq!(b.add("together", 2, expiry).await.value, 3);
        let count = a.add("together", 0, expiry).await;
        assert_eq!(count, Count { value: 3, ..count });
        assert!(count.remaining > HOUR / 2 && count.remaining <= HOUR, "{count:?}");
        assert_eq!(b.get("together").await.value, 3);
        assert_eq!(b.get("another").await.value, 0);
        b.clear("together").await;
        assert_eq!(a.get("together").await, Count::default());
        // The other node's own share ends with its own call.
        a.clear("together").await;
    }
}

/// A fixed window ends by itself however often it is counted.
async fn counters_end(a: &dyn SharedCounters, b: &dyn SharedCounters) {
    let short = Expiry::Fixed(Duration::from_millis(80));
    a.add("short", 5, short).await;
    let waiting = async { while b.add("short", 1, short).await.value >= 5 {} };
    assert!(
        tokio::time::timeout(LIMIT, waiting).await.is_ok(),
        "a window that never ends"
    );
}

/// What was taken can be given back, and never more than that.
async fn places_are_given_back(a: &dyn SharedCounters, b: &dyn SharedCounters) {
    let places = Expiry::Renewed(HOUR);
    assert_eq!(a.add("places", 1, places).await.value, 1);
    assert_eq!(b.add("places", 1, places).await.value, 2);
    assert_eq!(a.add("places", -1, places).await.value, 1);
    assert_eq!(b.add("places", -1, places).await.value, 0);
    assert_eq!(b.add("places", -1, places).await.value, 0, "given back twice");
    assert_eq!(a.add("places", 1, places).await.value, 1);
}
