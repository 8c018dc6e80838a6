//! What `llm_call` and `agent` have in common.

pub(super) mod context;
pub(super) mod memory;
pub(super) mod schema;
pub(super) mod settings;
pub(super) mod traces;
