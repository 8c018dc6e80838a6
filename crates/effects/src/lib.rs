//! Effects: what steps ask for beyond their own state. One file per kind, an explicit registry, ports for the rest.
//!
//! A handler gets the request and a read-only view of the run and returns an [`Answer`]; it never touches the state.
//! The driver decides from [`EffectClass`] what must be durable before the call.

pub mod artifacts;
pub mod attachments;
pub mod evidence;
pub mod handler;
pub mod host;
pub mod llm_call;
pub mod memory;
pub mod model_residency;
#[cfg(test)]
mod outages;
mod patience;
pub mod progress;
pub mod routes;
pub mod runtime_host;
#[cfg(test)]
mod test_kit;
pub mod tool_calls;
pub mod workspaces;

pub use handler::{
    Answer, Child, EffectClass, EffectCtx, EffectHandler, EffectRegistry, Failure, ResolvedWorkflow, Tools,
    ToolsDone, WorkflowDirectory,
};
pub use host::{Host, HostFailure, HostQuestion};
pub use progress::Progress;
