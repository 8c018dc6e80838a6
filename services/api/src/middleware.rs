//! The two layers around the router, each a plain function.

mod audit;
mod guard;
mod outer;

pub(crate) use guard::{Guards, OverLimit, StreamPlace, guard};
pub(crate) use outer::{RouteMetrics, outer};
