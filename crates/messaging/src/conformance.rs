//! What every adapter of the ports promises, run by the tests of each.
//!
//! Two handles stand for two nodes; an in-process adapter passes the same one twice. A broken promise panics. Every
//! wait has an end, and nothing here counts on a moment: hints may be doubled, and only what is lost for good or comes
//! to the wrong place is a defect.

pub mod bell;
pub mod counters;
pub mod feed;

use std::time::Duration;

use ag_types::{PlaneId, RunId, RunKey};

/// Most time until something arrives, generous for a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A key, the same for the same number.
#[must_use]
pub fn key(n: u32) -> RunKey {
    let text = format!("0198c0de-{:04x}-7000-8000-{n:012x}", n & 0xffff);
    RunKey {
        run: text.parse::<RunId>().expect("the text of an id"),
        plane: PlaneId(i32::try_from(n % 7).unwrap_or(0) + 1),
    }
}

/// Waits until a condition holds.
///
/// # Panics
/// After [`LIMIT`].
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, waiting).await;
    assert!(reached.is_ok(), "waited in vain: {what}");
}
