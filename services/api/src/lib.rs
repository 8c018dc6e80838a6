//! The HTTP role: authenticates, validates, writes rows, replays and follows ledgers.
//!
//! * [`operation`] and [`routes`]: one table per family; router, document and coverage test derive from it.
//! * [`input`]: declarative readers of path, query and body that report every failing field at once.
//! * [`context`]: who is calling, and the only way from a handler to a store.
//! * [`error`]: the wire shapes of every refusal.
//! * [`limits`]: what the nodes of a cluster refuse together.
//! * [`middleware`]: two layers around the router: what every answer needs, and the security layer.
//! * [`server`]: listeners, time-outs, drain. [`stream`]: ledgers as server-sent events.
//!
//! A handler is a paragraph: extractors, one call, one typed response.

pub mod context;
pub mod error;
pub mod input;
mod limits;
mod middleware;
pub mod operation;
mod reply;
mod router;
pub mod routes;
mod second_look;
pub mod server;
mod spool;
mod stream;
#[cfg(test)]
mod testkit;
mod workspace;

pub use context::{AppState, CallContext, CsrfCheck, Extensions, Fitness, NoSessions, Services};
pub use error::{ApiError, ApiResult};
pub use input::{Input, Request};
pub use operation::{Family, Operation};
pub use router::router;
pub use routes::{
    CodeService, FlowsDirError, FlowsDirReport, ModelServices, Resealed, SecretBox, SecretBoxError,
    ShippedBundles, StoredProfiles, ToolServices, install_flows_dir, predicates_registry, reseal_secrets,
};
pub use server::{Ops, Probe, Readiness, serve, serve_ops};
