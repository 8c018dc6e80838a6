//! Effects that live beside the engine because they make runs, mail or read runs: child runs, events, variables.

mod emit_event;
mod start_subworkflow;
mod vars_query;

pub use emit_event::{EmitEvent, event_mail, event_payload};
pub use start_subworkflow::StartSubworkflow;
pub use vars_query::VarsQuery;
