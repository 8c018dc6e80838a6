//! Ledger records as they are written: a borrowed view, and the text with the sixteen keys of the contract.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Object, RunId, StepId, Timestamp,
    json::{write_object, write_text, write_value},
};

/// Status of a ledger record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// The effect begins.
    Started,
    /// It ended well.
    Completed,
    /// It waits.
    Waiting,
    /// It failed.
    Failed,
}

impl StepStatus {
    /// As records name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// The effect part of a record; `kind` is text because of the pseudo type `resume`.
#[derive(Debug, Clone, Copy)]
pub struct EffectView<'a> {
    /// Effect type.
    pub kind: &'a str,
    /// Arguments.
    pub payload: &'a Object,
    /// Where the result goes.
    pub result_key: Option<&'a str>,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Run that owns the ledger.
    pub run_id: RunId,
    /// Shared by the records of one attempt.
    pub step_id: StepId,
    /// Node that was executing.
    pub node_id: &'a str,
    /// What happened.
    pub status: StepStatus,
    /// The effect, if there is one.
    pub effect: Option<EffectView<'a>>,
    /// Its result or wait.
    pub result: Option<&'a Value>,
    /// Failure text.
    pub error: Option<&'a str>,
    /// Start of the attempt; repeated in the final record.
    pub started_at: Timestamp,
    /// End of the attempt.
    pub ended_at: Option<Timestamp>,
    /// Actor of the run.
    pub actor_id: Option<&'a str>,
    /// Session of the run.
    pub session_id: Option<&'a str>,
    /// 1 unless a crash or a policy repeated the effect.
    pub attempt: u32,
    /// Hash of (run, node, effect) or a `system:` key.
    pub idempotency_key: Option<&'a str>,
}

/// The last three keys of the format: a chain of hashes that exists in it and is unused.
const UNUSED: &[u8] = br#","prev_hash":null,"record_hash":null,"signature":null}"#;

impl RecordView<'_> {
    /// Appends the record as one line of JSON without a line end; the order of keys is that of the wire. Written by
    /// hand, because each step of a run costs two of them.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"run_id":"#);
        write_uuid(self.run_id.0, out);
        out.extend_from_slice(br#","step_id":"#);
        write_uuid(self.step_id.0, out);
        out.extend_from_slice(br#","node_id":"#);
        write_text(self.node_id, out);
        out.extend_from_slice(br#","status":"#);
        write_text(self.status.as_str(), out);
        out.extend_from_slice(br#","effect":"#);
        match &self.effect {
            Some(effect) => effect.write(out),
            None => write_null(out),
        }
        out.extend_from_slice(br#","result":"#);
        match self.result {
            Some(result) => write_value(result, out),
            None => write_null(out),
        }
        out.extend_from_slice(br#","error":"#);
        write_optional(self.error, out);
        out.extend_from_slice(br#","started_at":"#);
        self.started_at.write(out);
        out.extend_from_slice(br#","ended_at":"#);
        match self.ended_at {
            Some(ended) => ended.write(out),
            None => write_null(out),
        }
        out.extend_from_slice(br#","actor_id":"#);
        write_optional(self.actor_id, out);
        out.extend_from_slice(br#","session_id":"#);
        write_optional(self.session_id, out);
        out.extend_from_slice(br#","attempt":"#);
        write_value(&self.attempt.into(), out);
        out.extend_from_slice(br#","idempotency_key":"#);
        write_optional(self.idempotency_key, out);
        out.extend_from_slice(UNUSED);
    }
}

impl EffectView<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"#);
        write_text(self.kind, out);
        out.extend_from_slice(br#","payload":"#);
        write_object(self.payload, out);
        out.extend_from_slice(br#","result_key":"#);
        write_optional(self.result_key, out);
        out.push(b'}');
    }
}

fn write_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_text(text, out),
        None => write_null(out),
    }
}

fn write_uuid(id: Uuid, out: &mut Vec<u8>) {
    write_text(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()), out);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_the_sixteen_keys_in_order() {
        let id = Uuid::from_u128(0x8d68_99dd_0000_4000_8000_0000_0000_0001);
        let payload = json!({"message": "a \"b\""});
        let mut record = RecordView {
            run_id: RunId(id),
            step_id: StepId(id),
            node_id: "n\n1",
            status: StepStatus::Completed,
            effect: payload.as_object().map(|payload| EffectView {
                kind: "answer_user",
                payload,
                result_key: Some("r"),
            }),
            result: Some(&payload),
            error: None,
            started_at: Timestamp::from_micros(1_795_174_322_790_001),
            ended_at: Some(Timestamp::from_micros(0)),
            actor_id: Some("gateway"),
            session_id: None,
            attempt: 2,
            idempotency_key: Some("k"),
        };
        let text = |record: &RecordView<'_>| {
            let mut line = Vec::new();
            record.write(&mut line);
            String::from_utf8(line).expect("text")
        };
        let id = id.to_string();
        let expected = json!({
            "run_id": id, "step_id": id, "node_id": "n\n1", "status": "completed",
            "effect": {"type": "answer_user", "payload": payload, "result_key": "r"}, "result": payload, "error": null,
            "started_at": "2026-11-20T11:32:02.790001+00:00", "ended_at": "1970-01-01T00:00:00+00:00",
            "actor_id": "gateway", "session_id": null, "attempt": 2, "idempotency_key": "k",
            "prev_hash": null, "record_hash": null, "signature": null,
        });
        assert_eq!(text(&record), expected.to_string());

        record.effect = None;
        record.result = None;
        record.ended_at = None;
        record.error = Some("why");
        let line: Value = serde_json::from_str(&text(&record)).expect("JSON");
        assert_eq!(line["effect"], Value::Null);
        assert_eq!(line["result"], Value::Null);
        assert_eq!(line["ended_at"], Value::Null);
        assert_eq!(line["error"], "why");
    }

    #[test]
    fn statuses_read_as_they_are_written() {
        for status in [
            StepStatus::Started,
            StepStatus::Completed,
            StepStatus::Waiting,
            StepStatus::Failed,
        ] {
            assert_eq!(serde_json::to_value(status).expect("a text"), status.as_str());
        }
    }
}
