//! A bound on the label sets of a metric.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{PoisonError, RwLock},
};

/// Label sets per metric. The largest metric has one per route, method and status class.
const MAX_SERIES: usize = 2_048;

/// Stands for every label value once the bound is reached.
pub(crate) const OTHER: &str = "other";

/// The label sets seen so far, by hash.
#[derive(Debug)]
pub(crate) struct Series {
    seen: RwLock<BTreeSet<u64>>,
    max: usize,
}

impl Series {
    pub(crate) const fn new() -> Self {
        Self::with_max(MAX_SERIES)
    }

    const fn with_max(max: usize) -> Self {
        Self {
            seen: RwLock::new(BTreeSet::new()),
            max,
        }
    }

    /// Whether the label set may be used.
    pub(crate) fn admit(&self, values: &[&str]) -> bool {
        if values.is_empty() {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        let hash = hasher.finish();
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&hash) {
            return true;
        }
        if seen.len() >= self.max {
            return false;
        }
        drop(seen);
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.contains(&hash) || seen.len() < self.max && seen.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_sets_are_bounded() {
        let series = Series::with_max(2);
        for (values, admitted) in [
            (["a", "x"], true),
            (["a", "x"], true),
            (["a", "y"], true),
            (["b", "x"], false),
            (["a", "y"], true),
            (["ax", ""], false),
        ] {
            assert_eq!(series.admit(&values), admitted, "{values:?}");
        }
        assert!(series.admit(&[]));
    }
}
