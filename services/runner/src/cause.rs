//! What a visit to a run hangs on in traces.

use std::{collections::HashMap, sync::Arc};

use ag_engine::Held;
use ag_telemetry::traces;
use ag_types::{RunKey, RunStatus};
use tracing::{Span, span::Id};

/// Why a run is visited.
#[derive(Debug)]
pub(crate) enum Cause {
    /// Somebody rang for it: the claim, as a part of the trace of whoever that was.
    WakeUp(Span),
    /// It was found, or handed over in memory; with the context of a claim of several runs.
    Found(Option<String>),
}

impl Cause {
    /// Begins the claims of those runs whose wake-up carries a trace.
    pub(crate) fn of_wake_ups(keys: &[RunKey], traced: &HashMap<RunKey, Arc<str>>) -> HashMap<RunKey, Self> {
        let begin = |key: &RunKey| {
            let trace = traced.get(key)?;
            let span = tracing::info_span!(parent: None, "claim", run.id = %key.run, claimed = tracing::field::Empty);
            traces::continue_from(&span, trace);
            Some((*key, Self::WakeUp(span)))
        };
        match traced.is_empty() {
            true => HashMap::new(),
            false => keys.iter().filter_map(begin).collect(),
        }
    }

    /// The run was obtained.
    pub(crate) fn claimed(&self) {
        if let Self::WakeUp(span) = self {
            span.record("claimed", 1_i64);
        }
    }

    /// The span under which the visit goes.
    pub(crate) fn parent(&self) -> Option<Id> {
        match self {
            Self::WakeUp(span) => span.id(),
            Self::Found(_) => None,
        }
    }

    /// Ties a visit to what caused it and to the start of the run.
    pub(crate) fn tie(&self, visit: &Span, held: &Held) {
        let start = held.tick.aux.traceparent.as_deref();
        // Nothing was written since the start: whoever asked for it waits for this visit, announced or not.
        let is_first = held.rev == 0 && held.tick.run.status == RunStatus::Running;
        match (self, start) {
            (Self::Found(_), Some(start)) if is_first => traces::continue_from(visit, start),
            (_, Some(start)) if !is_first => traces::link(visit, start),
            _ => {}
        }
        if let Self::Found(Some(claim)) = self {
            traces::link(visit, claim);
        }
    }
}
