//! Conversations in the trees of recurrent schedules are compacted before they outgrow the model (runs contract §4,
//! "Runner semantics"): a schedule that keeps its session talks for ever, and nobody is there to say stop.
//!
//! Looked at between two steps. A compaction begins at 90 % of the budget and 12 messages, once per height of the
//! water: one that fails, or frees too little, is tried again only when a request was larger still.

use ag_kernel::{VarChange, vars};
use ag_types::{Object, RunStatus, Timestamp};
use serde_json::{Value, json};

use super::{
    Job,
    compact::{Compaction, Origin},
    push,
};
use crate::{Deps, Held, commit::Stop};

/// Fewest messages worth the effort.
const MIN_MESSAGES: usize = 12;
/// Share of the budget at which a compaction begins.
const SHARE: f64 = 0.9;
/// Messages that stay.
const PRESERVE: i64 = 6;
/// Ancestors that are walked; only protects against a damaged chain.
const MAX_DEPTH: usize = 1_024;

/// Tokens of the last request, when the conversation should be compacted because of them.
fn crowded(vars: &Object) -> Option<i64> {
    let messages = vars.get("context")?.get("messages")?.as_array()?;
    if messages.len() < MIN_MESSAGES {
        return None;
    }
    let limits = vars.get("_limits")?;
    let whole = |value: &Value| {
        let rounded = || value.as_f64().map(|number| number as i64);
        value.as_i64().or_else(rounded)
    };
    let used = whole(limits.get("estimated_tokens_used")?).filter(|used| *used > 0)?;
    let budget = ["max_input_tokens", "max_tokens"]
        .iter()
        .find_map(|key| limits.get(*key).filter(|budget| !budget.is_null()));
    let budget = whole(budget?).filter(|budget| *budget > 0)?;
    let before = vars
        .get("_runtime")
        .and_then(|runtime| whole(runtime.get("auto_compact")?.get("last_trigger_tokens_used")?));
    let is_new = before.is_none_or(|before| used > before);
    (is_new && used as f64 / budget as f64 >= SHARE).then_some(used)
}

/// Whether the variables are those of a schedule that repeats.
fn is_recurrent(vars: &Object) -> bool {
    let interval = vars::text_at(vars, "_meta.schedule.interval");
    vars::text_at(vars, "_meta.schedule.kind") == Some("scheduled_run")
        && interval.is_some_and(|interval| !interval.trim().is_empty())
}

/// What a run remembers of a compaction that failed.
pub(super) fn failed(error: String, now: Timestamp) -> Vec<VarChange> {
    let set = |key: &str, value: String| VarChange::Set(format!("_runtime.auto_compact.{key}"), value.into());
    vec![set("last_error", error), set("last_error_at", now.to_string())]
}

impl Deps {
    /// Begins a compaction where one is due.
    pub(super) async fn watch_budget(&self, held: &mut Held) -> Result<(), Stop> {
        if held.tick.run.status != RunStatus::Running {
            return Ok(());
        }
        let Some(used) = crowded(&held.tick.run.vars) else {
            return Ok(());
        };
        if !self.is_below_recurrent(held).await? {
            return Ok(());
        }
        let at = self.clock.now().to_string();
        let set = |key: &str, value: Value| VarChange::Set(format!("_runtime.auto_compact.{key}"), value);
        // Before the work, so that a failure is not repeated at once.
        held.tick.change_vars(vec![
            set("last_trigger_tokens_used", used.into()),
            set("last_triggered_at", at.as_str().into()),
        ]);
        let payload = json!({"preserve_recent": PRESERVE, "compression_mode": "standard", "focus": null});
        let payload = payload.as_object().cloned().unwrap_or_default();
        let compaction = Compaction::new(Origin::Budget { used, at }, payload);
        push(held, &Job::Compact(compaction));
        Ok(())
    }

    /// Whether the top of the run's tree is a schedule that repeats. Asked once per holding: that never changes.
    async fn is_below_recurrent(&self, held: &mut Held) -> Result<bool, Stop> {
        if let Some(known) = held.recurrent {
            return Ok(known);
        }
        let mut recurrent = is_recurrent(&held.tick.run.vars);
        let mut parent = held.tick.run.head.parent_run_id;
        for _ in 0..MAX_DEPTH {
            let Some(above) = parent else { break };
            let row = self.store.run(&held.scope, above).await?;
            parent = row.as_ref().and_then(|row| row.head.parent_run_id);
            recurrent = parent.is_none()
                && row.is_some_and(|row| {
                    let vars = serde_json::from_str(&row.columns.vars);
                    vars.is_ok_and(|vars: Object| is_recurrent(&vars))
                });
        }
        held.recurrent = Some(recurrent);
        Ok(recurrent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(messages: usize, limits: Value, before: Value) -> Object {
        let vars = json!({
            "context": {"messages": vec![json!({"role": "user", "content": "x"}); messages]},
            "_limits": limits, "_runtime": {"auto_compact": {"last_trigger_tokens_used": before}},
        });
        vars.as_object().cloned().expect("object")
    }

    #[test]
    fn a_compaction_is_due_at_nine_tenths_of_twelve_messages() {
        let of =
            |used: i64| json!({"estimated_tokens_used": used, "max_tokens": 1000, "max_input_tokens": null});
        for (name, vars, expected) in [
            ("due", vars(12, of(900), Value::Null), Some(900)),
            ("below", vars(12, of(899), Value::Null), None),
            ("short", vars(11, of(900), Value::Null), None),
            ("tried", vars(12, of(900), json!(900)), None),
            ("larger than tried", vars(12, of(901), json!(900)), Some(901)),
            ("garbled memory", vars(12, of(900), json!("x")), Some(900)),
            (
                "input budget first",
                vars(
                    12,
                    json!({"estimated_tokens_used": 90, "max_tokens": 1000, "max_input_tokens": 100}),
                    Value::Null,
                ),
                Some(90),
            ),
            (
                "an input budget of nothing is none",
                vars(
                    12,
                    json!({"estimated_tokens_used": 999, "max_tokens": 1000, "max_input_tokens": 0}),
                    Value::Null,
                ),
                None,
            ),
            (
                "no budget",
                vars(12, json!({"estimated_tokens_used": 9}), Value::Null),
                None,
            ),
            ("unused", vars(12, of(0), Value::Null), None),
            (
                "no numbers",
                vars(
                    12,
                    json!({"estimated_tokens_used": true, "max_tokens": "x"}),
                    Value::Null,
                ),
                None,
            ),
            ("empty", Object::new(), None),
        ] {
            assert_eq!(crowded(&vars), expected, "{name}");
        }
    }

    #[test]
    fn only_schedules_with_an_interval_repeat() {
        for (schedule, expected) in [
            (json!({"kind": "scheduled_run", "interval": "1h"}), true),
            (json!({"kind": "scheduled_run", "interval": " "}), false),
            (json!({"kind": "scheduled_run", "interval": null}), false),
            (json!({"interval": "1h"}), false),
        ] {
            let vars = json!({"_meta": {"schedule": schedule}});
            assert_eq!(
                is_recurrent(vars.as_object().expect("object")),
                expected,
                "{schedule}"
            );
        }
    }
}
