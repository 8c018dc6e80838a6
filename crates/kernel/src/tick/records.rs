//! The records of a tick.

use ag_types::{EffectKind, EffectView, Object, RecordView, StepId, StepStatus, Timestamp, json::object};
use serde_json::{Value, json};

use super::Tick;
use crate::aux::OpenEffect;

impl Tick {
    pub(crate) fn count(&mut self, open: &OpenEffect, result: &Value) {
        let counts = &mut self.writes.counts;
        match open.kind {
            EffectKind::LlmCall => counts.llm_calls += 1,
            EffectKind::ToolCalls => {
                let calls = open
                    .payload
                    .get("tool_calls")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                counts.tool_calls = counts
                    .tool_calls
                    .saturating_add(i32::try_from(calls).unwrap_or(i32::MAX));
            }
            _ => {}
        }
        let tokens = result
            .get("usage")
            .and_then(|usage| usage.get("total_tokens"))
            .and_then(Value::as_i64);
        counts.tokens_total = counts.tokens_total.saturating_add(tokens.unwrap_or(0));
    }

    /// The terminal status row (kernel spec §2.4).
    pub(crate) fn status_record(&mut self, now: Timestamp) {
        let status = self.run.status.as_str();
        let key = format!("system:terminal_status:{status}");
        self.event_record("abstract.status", "session", json!({"text": status}), &key, now);
    }

    /// Records what the open effect tells while it runs; `n` counts its reports from 1.
    pub fn progress(&mut self, n: u32, report: Object, now: Timestamp) {
        let Some(open) = &self.aux.open else { return };
        let head = &self.run.head;
        let step_id = open.step_id.to_string();
        let key = format!("system:progress:{step_id}:{n}");
        let about = json!({
            "run_id": head.run_id.to_string(),
            "workflow_id": &*head.workflow_id,
            "node_id": open.node_id,
            "step_id": step_id,
            "idempotency_key": open.key,
            "attempt": open.attempt,
        });
        // The gateway's own facts win over a server's words.
        let mut payload = report;
        if let Value::Object(about) = about {
            payload.extend(about);
        }
        self.event_record("abstract.progress", "run", Value::Object(payload), &key, now);
    }

    /// A record of an event that the run itself emits.
    fn event_record(&mut self, name: &str, scope: &str, payload: Value, key: &str, now: Timestamp) {
        let effect = object([
            ("name", name.into()),
            ("scope", scope.into()),
            ("payload", payload.clone()),
        ]);
        let result = object([
            ("emitted", true.into()),
            ("name", name.into()),
            ("payload", payload),
        ])
        .into();
        let step = self.fresh_step();
        self.push(Row {
            step_id: step,
            node_id: None,
            status: StepStatus::Completed,
            effect: Some(("emit_event", &effect, None)),
            result: Some(&result),
            error: None,
            started_at: now,
            ended_at: Some(now),
            attempt: 1,
            key: Some(key),
        });
    }

    pub(crate) fn plain_record(
        &mut self,
        status: StepStatus,
        result: Option<&Value>,
        error: Option<&str>,
        key: Option<&str>,
        now: Timestamp,
    ) {
        let step = self.fresh_step();
        self.push(Row {
            step_id: step,
            node_id: None,
            status,
            effect: None,
            result,
            error,
            started_at: now,
            ended_at: Some(now),
            attempt: 1,
            key,
        });
    }

    pub(crate) fn record(
        &mut self,
        open: &OpenEffect,
        status: StepStatus,
        result: Option<&Value>,
        error: Option<&str>,
        ended_at: Option<Timestamp>,
    ) {
        self.push(Row {
            step_id: open.step_id,
            node_id: Some(&open.node_id),
            status,
            effect: Some((open.kind.as_str(), &open.payload, open.result_key.as_deref())),
            result,
            error,
            started_at: open.started_at,
            ended_at,
            attempt: open.attempt,
            key: Some(&open.key),
        });
    }

    pub(crate) fn push(&mut self, row: Row<'_>) {
        if row.status == StepStatus::Completed {
            self.writes.counts.steps += 1;
        }
        let line = self.render(&row, row.effect, row.result);
        if self.max_inline == 0 || line.len() <= self.max_inline {
            self.writes.records.push(line);
            return;
        }
        // Rare: the record is large, so its large members become artifacts (kernel spec §5.2).
        let mut taken = Vec::new();
        let mut offloader = crate::offload::Offloader::new(self.run.head.run_id, self.max_inline, &mut taken);
        // The roots (the effect, the result) keep their shape; the payload is a member of the effect.
        let payload = row.effect.map(|(_, payload, _)| {
            let mut payload = Value::Object(payload.clone());
            offloader.whole(&mut payload, "ledger_effect_offload", "ledger.effect.payload");
            payload.as_object().cloned().unwrap_or_default()
        });
        let result = row.result.map(|result| {
            let mut result = result.clone();
            offloader.below(&mut result, "ledger_result_offload", "ledger.result");
            result
        });
        let effect = row
            .effect
            .zip(payload.as_ref())
            .map(|((kind, _, key), payload)| (kind, payload, key));
        let line = self.render(&row, effect, result.as_ref());
        self.writes.offloaded.append(&mut taken);
        self.writes.records.push(line);
    }

    /// Takes large members out of a resume payload before it is recorded (kernel spec §5.2, second row).
    pub(crate) fn offload_payload(&mut self, payload: &mut Value) {
        let max = self.max_inline;
        if max > 0 && crate::offload::compact_len(payload, max) > max {
            crate::offload::Offloader::new(self.run.head.run_id, max, &mut self.writes.offloaded).below(
                payload,
                "resume",
                "resume.payload",
            );
        }
    }

    fn render(&self, row: &Row<'_>, effect: Option<EffectParts<'_>>, result: Option<&Value>) -> String {
        let head = &self.run.head;
        let record = RecordView {
            run_id: head.run_id,
            step_id: row.step_id,
            node_id: row.node_id.unwrap_or(if self.run.current_node.is_empty() {
                "runtime"
            } else {
                &self.run.current_node
            }),
            status: row.status,
            effect: effect.map(|(kind, payload, result_key)| EffectView {
                kind,
                payload,
                result_key,
            }),
            result,
            error: row.error,
            started_at: row.started_at,
            ended_at: row.ended_at,
            actor_id: head.actor_id.as_deref(),
            session_id: head.session_id.as_deref(),
            attempt: row.attempt,
            idempotency_key: row.key,
        };
        let mut line = Vec::with_capacity(RECORD_BYTES);
        record.write(&mut line);
        // Made of texts and JSON, so it is UTF-8.
        String::from_utf8(line).unwrap_or_default()
    }

    pub(crate) fn fresh_step(&self) -> StepId {
        self.ids.step_id()
    }
}

/// Room for the usual record.
const RECORD_BYTES: usize = 1024;

/// Effect type, payload, result key.
pub(crate) type EffectParts<'a> = (&'a str, &'a Object, Option<&'a str>);

/// Parts of a record that do not come from the run.
pub(crate) struct Row<'a> {
    pub(crate) step_id: StepId,
    pub(crate) node_id: Option<&'a str>,
    pub(crate) status: StepStatus,
    pub(crate) effect: Option<EffectParts<'a>>,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error: Option<&'a str>,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) attempt: u32,
    pub(crate) key: Option<&'a str>,
}
