//! The series of a metric: their handles, and a bound on their number.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Label sets per metric. The largest metric has one per route, method and status class.
const MAX_SERIES: usize = 2_048;

/// Stands for every label value once the bound is reached.
pub(crate) const OTHER: &str = "other";

/// Whether the recorder of this process is there; handles made before it lead nowhere and are not kept.
static RECORDED: AtomicBool = AtomicBool::new(false);

/// From here on handles are kept.
pub(crate) fn keep_handles() {
    RECORDED.store(true, Ordering::Release);
}

/// The label sets seen so far, by hash, with their handles. Asking the recorder for one costs several allocations,
/// which a short run can feel.
pub(crate) struct Series<H> {
    seen: RwLock<BTreeMap<u64, Option<H>>>,
    max: usize,
}

impl<H: Clone> Series<H> {
    pub(crate) const fn new() -> Self {
        Self::with_max(MAX_SERIES)
    }

    const fn with_max(max: usize) -> Self {
        Self {
            seen: RwLock::new(BTreeMap::new()),
            max,
        }
    }

    /// The handle of a label set. `make` gets false where the bound forbids the set.
    pub(crate) fn handle(&self, values: &[&str], make: impl FnOnce(bool) -> H) -> H {
        self.find(values, RECORDED.load(Ordering::Acquire), make)
    }

    fn find(&self, values: &[&str], keep: bool, make: impl FnOnce(bool) -> H) -> H {
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self
            .seen
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .cloned();
        if let Some(Some(handle)) = known {
            return handle;
        }
        let is_admitted = known.is_some() || self.admit(hash);
        let handle = make(is_admitted);
        if is_admitted && keep {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            seen.insert(hash, Some(handle.clone()));
        }
        handle
    }

    fn admit(&self, hash: u64) -> bool {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let is_admitted = seen.len() < self.max || seen.contains_key(&hash);
        if is_admitted {
            seen.entry(hash).or_insert(None);
        }
        is_admitted
    }
}

impl<H> fmt::Debug for Series<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Series")
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
            assert_eq!(
                series.handle(&values, |is_admitted| is_admitted),
                admitted,
                "{values:?}"
            );
        }
    }

    #[test]
    fn handles_are_made_once() {
        let series = Series::with_max(1);
        assert_eq!(
            series.find(&["a"], false, |_| 1),
            1,
            "made before there is a recorder"
        );
        assert_eq!(series.find(&["a"], true, |_| 2), 2);
        assert_eq!(series.find(&["a"], true, |_| 3), 2);
        assert_eq!(series.find(&["b"], true, |_| 4), 4);
        assert_eq!(
            series.find(&["b"], true, |_| 5),
            5,
            "one of those without a place"
        );
    }
}
