//! The durable step machine, pure: given a run and something that happened, what changes and what is asked for next.
//!
//! * [`plan`] is the door to workflows: a [`Workflow`] plans the step of the current node.
//! * [`tick`] drives steps, writes ledger records and folds effect outcomes into the run.
//! * [`resume`] and [`control`] apply mail: answers, events, child ends; pause, un-pause, cancel, schedule edits.
//! * [`host`] lists what a step may ask of its host (code, files, catalogues): planning *suspends* on such a
//!   question and is repeated with the answer, so nothing in here performs I/O.
//! * [`aux`] is the engine's own durable state of a run; [`vars`] reads and writes dotted paths; [`keys`] makes
//!   idempotency keys; [`prepare`] completes payloads before they are recorded; [`offload`] takes large values out.

pub mod aux;
pub mod control;
pub mod host;
pub mod keys;
pub mod offload;
pub mod plan;
pub mod prepare;
pub mod resume;
#[cfg(test)]
mod testkit;
pub mod tick;
pub mod vars;
pub mod waits;

pub use aux::{OpenEffect, PriorResult, RunAux};
pub use host::{HostAnswers, HostCall, HostOp};
pub use offload::OffloadedValue;
pub use plan::{Exception, Interrupt, StepEnv, StepPlan, ToolCatalogue, Workflow};
pub use tick::{Counts, EffectRequest, Outcome, Stepped, Tick, VarChange, Writes};
