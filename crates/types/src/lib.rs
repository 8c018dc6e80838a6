//! Vocabulary shared by every crate: ids, time, scopes, and the durable values of a run.
//!
//! Only data and its text forms live here; behaviour belongs to the crates that use it.

mod effect;
mod host;
mod ids;
pub mod json;
mod ports;
mod record;
mod run;
mod scope;
mod time;
mod wait;

pub use effect::{Effect, EffectKind};
pub use host::system_zone;
pub use ids::{ParseIdError, RunId, RunKey, SessionId, StepId};
pub use ports::{Clock, IdGen, SteeredClock, SystemClock, SystemIds};
pub use record::{EffectView, RecordView, StepStatus};
pub use run::{RunHead, RunState, RunStatus};
pub use scope::{PlaneId, PlaneKey, SystemScope, TenantScope};
pub use time::{ParseTimestampError, Timestamp};
pub use wait::{Wait, WaitReason};

/// A JSON object whose key order survives storage.
pub type Object = serde_json::Map<String, serde_json::Value>;
