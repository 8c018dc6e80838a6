//! What one plane may use of all nodes together.
//!
//! Places in use are counted in windows of ten seconds: at the first use in a window, or at the next look of
//! [`PlaneLimits::call_roll`], a node adds all places it has given out to the window's counter, and from then on each
//! change. The places of a node that died are gone with the window, without anybody having to notice its death.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ag_auth::{PlaneKey, Pool, whole_seconds};
use ag_messaging::{Expiry, SharedCounters};
use parking_lot::Mutex;

const WINDOW: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// Caps per plane; 0 = none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlaneCaps {
    pub(crate) requests: u64,
    pub(crate) streams: u64,
    pub(crate) per_minute: u64,
}

/// Why a plane gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All its places are in use.
    Places,
    /// Its requests of this minute are used up.
    Rate {
        /// Until the minute ends.
        retry_after_s: u64,
    },
}

/// Limits per plane.
pub(crate) struct PlaneLimits(Arc<Inner>);

struct Inner {
    counters: Arc<dyn SharedCounters>,
    caps: PlaneCaps,
    /// Wall clock in windows; nodes agree on it as well as their clocks do.
    window: fn() -> u64,
    given: Mutex<HashMap<Key, Given>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    streams: bool,
    plane: Arc<str>,
}

/// Places that this node has given out.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    places: i64,
    /// The window whose counter knows them.
    window: u64,
}

/// A place of a plane; dropping it gives it back.
pub(crate) struct PlanePlace {
    limits: Arc<Inner>,
    key: Key,
}

impl std::fmt::Debug for PlanePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanePlace").finish_non_exhaustive()
    }
}

impl PlaneLimits {
    pub(crate) fn new(caps: PlaneCaps, counters: Arc<dyn SharedCounters>) -> Self {
        Self::with_windows(caps, counters, current_window)
    }

    pub(super) fn with_windows(
        caps: PlaneCaps,
        counters: Arc<dyn SharedCounters>,
        window: fn() -> u64,
    ) -> Self {
        Self(Arc::new(Inner {
            counters,
            caps,
            window,
            given: Mutex::default(),
        }))
    }

    /// Whether no plane has a cap.
    pub(crate) fn is_off(&self) -> bool {
        let PlaneCaps {
            requests,
            streams,
            per_minute,
        } = self.0.caps;
        requests == 0 && streams == 0 && per_minute == 0
    }

    /// A place for a request or a stream of a plane. `None` where the plane has no cap.
    pub(crate) async fn enter(&self, pool: Pool, plane: &PlaneKey) -> Result<Option<PlanePlace>, Refused> {
        let inner = &self.0;
        let streams = pool == Pool::Streams;
        let cap = match streams {
            true => inner.caps.streams,
            false => inner.caps.requests,
        };
        let plane: Arc<str> = format!("{}/{}", plane.tenant_id, plane.runtime_id).into();
        if inner.caps.per_minute > 0 {
            let asked = inner
                .counters
                .add(&format!("rate:{plane}"), 1, Expiry::Fixed(MINUTE))
                .await;
            if exceeds(asked.value, inner.caps.per_minute) {
                let retry_after_s = whole_seconds(asked.remaining).unwrap_or(1);
                return Err(Refused::Rate { retry_after_s });
            }
        }
        if cap == 0 {
            return Ok(None);
        }
        let (place, used) = inner.take(Key { streams, plane }).await;
        match exceeds(used, cap) {
            true => Err(Refused::Places),
            false => Ok(Some(place)),
        }
    }

    /// Counts this node's places in each new window, until dropped.
    pub(crate) async fn call_roll(&self) {
        if self.0.caps.requests == 0 && self.0.caps.streams == 0 {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(WINDOW / 10).await;
            self.roll().await;
        }
    }

    pub(super) async fn roll(&self) {
        let window = (self.0.window)();
        let late: Vec<(Key, i64)> = {
            let mut given = self.0.given.lock();
            let late = given.iter_mut().filter(|(_, given)| given.window != window);
            late.map(|(key, given)| {
                given.window = window;
                (key.clone(), given.places)
            })
            .collect()
        };
        for (key, places) in late {
            self.0.count(&key, window, places).await;
        }
    }
}

impl Inner {
    async fn take(self: &Arc<Self>, key: Key) -> (PlanePlace, i64) {
        let window = (self.window)();
        let more = {
            let mut given = self.given.lock();
            let given = given.entry(key.clone()).or_default();
            given.places += 1;
            match given.window == window {
                true => 1,
                false => {
                    given.window = window;
                    given.places
                }
            }
        };
        let place = PlanePlace {
            limits: self.clone(),
            key,
        };
        let used = self.count(&place.key, window, more).await;
        (place, used)
    }

    async fn count(&self, key: &Key, window: u64, by: i64) -> i64 {
        let kind = if key.streams { "streams" } else { "requests" };
        let name = format!("places:{kind}:{}:{window}", key.plane);
        self.counters
            .add(&name, by, Expiry::Fixed(WINDOW * 2))
            .await
            .value
    }
}

impl Drop for PlanePlace {
    fn drop(&mut self) {
        let window = {
            let mut given = self.limits.given.lock();
            let Some(entry) = given.get_mut(&self.key) else {
                return;
            };
            entry.places -= 1;
            let window = entry.window;
            if entry.places == 0 {
                given.remove(&self.key);
            }
            window
        };
        // At the end of the process nobody is left to tell; the window forgets.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (limits, key) = (self.limits.clone(), self.key.clone());
            runtime.spawn(async move { limits.count(&key, window, -1).await });
        }
    }
}

fn exceeds(used: i64, cap: u64) -> bool {
    u64::try_from(used).is_ok_and(|used| used > cap)
}

/// Nodes share windows of the wall clock; nothing but a limit depends on it.
fn current_window() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / WINDOW.as_secs()
}
