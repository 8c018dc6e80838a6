//! Compaction of a run's own conversation between two steps, with its records in the run's ledger.

use ag_kernel::{OpenEffect, VarChange};
use ag_store::{MailKind, OutMail};
use ag_types::{EffectKind, Object, RunId, StepStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Job, MARKER, budget, refuse};
use crate::{Deps, Held, Signals, commit::Stop};

/// Why a conversation is compacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// A client asked.
    Command {
        /// Its id.
        command_id: String,
        /// Run that it named.
        requested_run_id: String,
        /// Top of that run's tree.
        root_run_id: String,
    },
    /// The conversation nears its budget.
    Budget {
        /// Tokens of the last request.
        used: i64,
        /// When that was noticed.
        at: String,
    },
}

impl Origin {
    fn key(&self) -> String {
        match self {
            Self::Command { command_id, .. } => format!("command:compact_memory:{command_id}"),
            Self::Budget { used, at } => format!("runtime:auto_compact:{at}:{used}"),
        }
    }

    /// Node of the records, and where the reference would put the result.
    const fn places(&self) -> (&'static str, &'static str) {
        match self {
            Self::Command { .. } => ("compact_memory", "_temp.command.compact_memory"),
            Self::Budget { .. } => ("auto_compact", "_temp.runtime.auto_compact"),
        }
    }
}

/// A compaction that is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Compaction {
    pub(super) origin: Origin,
    /// Of the effect.
    payload: Object,
    /// Its record, once it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<OpenEffect>,
}

impl Compaction {
    pub(super) const fn new(origin: Origin, payload: Object) -> Self {
        Self {
            origin,
            payload,
            open: None,
        }
    }
}

impl Deps {
    /// Does the compaction. `false`: a cancel came instead.
    pub(super) async fn compact(
        &self,
        held: &mut Held,
        signals: &Signals,
        mut compaction: Compaction,
    ) -> Result<bool, Stop> {
        let mut open = match compaction.open.take() {
            Some(mut open) => {
                // The record is there; whether anybody was asked is not known.
                open.attempt += 1;
                open.step_id = self.ids.step_id();
                open
            }
            None => {
                let (node, result) = compaction.origin.places();
                let payload = compaction.payload.clone();
                let key = compaction.origin.key();
                let mut open = self.effect(held, EffectKind::MemoryCompact, payload, key);
                open.result_key = Some(result.to_owned());
                open.node_id = node.to_owned();
                open
            }
        };
        open.started_at = self.clock.now();
        held.tick
            .record_beside(&open, StepStatus::Started, Ok(&Value::Null), open.started_at);
        compaction.open = Some(open.clone());
        held.tick.aux.jobs[0] = serde_json::to_value(Job::Compact(compaction.clone())).unwrap_or_default();
        self.commit_and_drain(held).await?;
        if held.tick.run.status.is_terminal() {
            return Ok(false);
        }
        let Some(outcome) = self.beside(held, signals, open.clone()).await? else {
            return Ok(false);
        };
        self.record_compaction(held, &compaction.origin, &open, outcome);
        Ok(true)
    }

    fn record_compaction(
        &self,
        held: &mut Held,
        origin: &Origin,
        open: &OpenEffect,
        outcome: Result<Value, String>,
    ) {
        let now = self.clock.now();
        let result = match outcome {
            Ok(result) => result,
            Err(error) => {
                held.tick
                    .record_beside(open, StepStatus::Failed, Err(&error), now);
                refuse(held, origin, &error);
                if matches!(origin, Origin::Budget { .. }) {
                    held.tick.change_vars(budget::failed(error, now));
                }
                return;
            }
        };
        held.tick
            .record_beside(open, StepStatus::Completed, Ok(&result), now);
        let Origin::Command {
            command_id,
            requested_run_id,
            root_run_id,
        } = origin
        else {
            return;
        };
        let own = held.key.run.to_string();
        let mark = json!({
            "command_id": command_id, "updated_at": now.to_string(), "requested_run_id": requested_run_id,
            "scheduled_root_run_id": root_run_id, "target_run_id": own,
        });
        match root_run_id.parse::<RunId>() {
            Ok(root) if root != held.key.run => held.pending.mail.push(OutMail {
                to: root,
                kind: MailKind::MemoryWrite,
                body: json!({"mark": mark}).to_string().into(),
                command_id: None,
            }),
            _ => held
                .tick
                .change_vars(vec![VarChange::Set(MARKER.to_owned(), mark)]),
        }
    }
}
