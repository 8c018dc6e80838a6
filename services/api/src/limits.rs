//! Limits that the nodes of a cluster keep together, over counters that they share (architecture D1).
//!
//! * [`Lockouts`]: failed credentials per address and presented identity.
//! * [`PlaneLimits`]: places in use and requests in a minute per plane.
//!
//! The node's own caps (`limits.max_concurrency`, `limits.max_sse`) need nobody else and are semaphores. Counters limit,
//! they do not prove: without their broker each node goes on with its own share, which `gateway_degraded` says.

mod lockouts;
mod planes;
#[cfg(test)]
mod tests;

pub(crate) use lockouts::Lockouts;
pub(crate) use planes::{PlaneCaps, PlaneLimits, PlanePlace, Refused};
