//! The engine: runs in the hands of their holders.
//!
//! * [`start`] makes runs, with their listeners and — where a runner lives in the same process — their first tick.
//! * [`drive`](mod@drive) takes a claimed run from rest to rest: steps, effects, mail, commits. Embedded and cluster
//!   runners use the same code.
//! * [`commands`] turns client commands into mail; `mailroom` applies mail to a held run.
//! * [`pools`] says which runner executes which step.
//! * [`workflows`] resolves and compiles; [`schedule`] builds the wrapper flow of a schedule.
//! * [`handlers`] are the effects that make runs and mail; [`traces`] projects node traces from a ledger.

mod call;
pub mod codec;
pub mod commands;
pub mod commit;
pub mod deps;
pub mod drive;
pub mod facade;
pub mod handlers;
pub mod held;
pub mod interval;
pub mod lifecycle;
mod mailroom;
mod memory;
pub mod pools;
pub mod schedule;
pub mod seed;
pub mod start;
pub mod traces;
pub mod workflows;

pub use ag_effects::{Host, HostFailure, HostQuestion};
pub use commands::{CANCEL_TIME, CommandError, CommandReceipt, CommandRequest};
pub use commit::Stop;
pub use deps::{Deps, TickLimits};
pub use drive::{CancelSignal, Ended, Signals};
pub use facade::CallRequest;
pub use held::Held;
pub use pools::{LivePools, POOL_GRACE, Place, Unfit};
pub use schedule::{ScheduleError, ScheduleRequest};
pub use seed::{ModelDefaults, ModelLimits, RunSettings};
pub use start::{LocalRunner, Slot, StartError, StartRequest, Starter};
pub use workflows::Workflows;
