//! What the import must know of a ledger, gathered while its lines go by.

use std::{borrow::Cow, collections::BTreeMap};

use ag_store::{Counters, Segment};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most records in one segment, and size in bytes after which one is closed (the convention of all writers).
const SEGMENT_RECORDS: i64 = 64;
const SEGMENT_BYTES: usize = 32 * 1024;

/// The members of a record that are looked at.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    node_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    effect: Option<Effect<'a>>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Effect<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolPayload<'a> {
    #[serde(borrow, default)]
    tool_calls: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct WithUsage {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: Option<i64>,
}

/// Sums and the ends of a ledger.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// Records.
    pub(super) records: i64,
    /// Records without the members that every record has; they are served all the same.
    pub(super) odd: u64,
    /// Kept at commit otherwise.
    pub(super) counters: Counters,
    /// Effect steps begun per node (difference X1).
    pub(super) visits: BTreeMap<String, u32>,
    /// The last record that an effect of a node wrote.
    pub(super) last_effect: Option<String>,
    /// The last tool batch that began to wait.
    pub(super) tool_wait: Option<String>,
    /// Closed segments that nobody has taken yet.
    segments: Vec<Segment>,
    first: i64,
    lines: String,
}

impl Digest {
    /// Takes the next record.
    pub(super) fn push(&mut self, line: &str) {
        self.look(line);
        if self.lines.is_empty() {
            self.first = self.records + 1;
        } else {
            self.lines.push('\n');
        }
        self.lines.push_str(line);
        self.records += 1;
        if self.lines.len() >= SEGMENT_BYTES || self.records - self.first + 1 >= SEGMENT_RECORDS {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.lines.is_empty() {
            self.segments.push(Segment {
                first_seq: self.first,
                last_seq: self.records,
                lines: std::mem::take(&mut self.lines).into(),
            });
        }
    }

    /// Bytes in closed segments.
    pub(super) fn weight(&self) -> usize {
        self.segments.iter().map(|segment| segment.lines.len()).sum()
    }

    /// Hands over the closed segments.
    pub(super) fn take_closed(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.segments)
    }

    /// Hands over all that is left.
    pub(super) fn take_rest(&mut self) -> Vec<Segment> {
        self.close();
        self.take_closed()
    }

    fn look(&mut self, line: &str) {
        let Ok(record) = serde_json::from_str::<Record<'_>>(line) else {
            self.odd += 1;
            return;
        };
        let (Some(node), Some(status)) = (&record.node_id, &record.status) else {
            self.odd += 1;
            return;
        };
        let kind = record.effect.as_ref().and_then(|effect| effect.kind.as_deref());
        if status == "completed" {
            self.counters.steps = self.counters.steps.saturating_add(1);
            self.count(kind, &record);
        }
        // `resume` and status records carry an effect that no step has planned; only planned ones begin.
        let Some(kind) = kind.filter(|kind| *kind != "resume") else {
            return;
        };
        if status == "started" {
            *self.visits.entry(node.clone().into_owned()).or_default() += 1;
        }
        if status == "waiting" && kind == "tool_calls" {
            self.tool_wait = Some(line.to_owned());
        }
        self.last_effect = Some(line.to_owned());
    }

    fn count(&mut self, kind: Option<&str>, record: &Record<'_>) {
        match kind {
            Some("llm_call") => self.counters.llm_calls = self.counters.llm_calls.saturating_add(1),
            Some("tool_calls") => {
                let payload = record.effect.as_ref().and_then(|effect| effect.payload);
                let payload = payload.and_then(|raw| serde_json::from_str::<ToolPayload<'_>>(raw.get()).ok());
                let calls = payload
                    .and_then(|payload| payload.tool_calls)
                    .map_or(0, |calls| calls.len());
                let calls = i32::try_from(calls).unwrap_or(i32::MAX);
                self.counters.tool_calls = self.counters.tool_calls.saturating_add(calls);
            }
            _ => {}
        }
        let result = record.result.filter(|raw| raw.get().starts_with('{'));
        let usage = result.and_then(|raw| serde_json::from_str::<WithUsage>(raw.get()).ok()?.usage);
        let tokens = usage.and_then(|usage| usage.total_tokens).unwrap_or(0);
        self.counters.tokens_total = self.counters.tokens_total.saturating_add(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(node: &str, status: &str, effect: &str, result: &str) -> String {
        format!(r#"{{"node_id":"{node}","status":"{status}","effect":{effect},"result":{result}}}"#)
    }

    #[test]
    fn sums_and_ends_are_those_of_the_commits() {
        let mut digest = Digest::default();
        let tools = r#"{"type":"tool_calls","payload":{"tool_calls":[{},{}]}}"#;
        for line in [
            record("a", "started", r#"{"type":"llm_call","payload":{}}"#, "null"),
            record(
                "a",
                "completed",
                r#"{"type":"llm_call","payload":{}}"#,
                r#"{"usage":{"total_tokens":18}}"#,
            ),
            record("t", "started", tools, "null"),
            record("t", "waiting", tools, "{}"),
            record("t", "completed", tools, "{}"),
            record(
                "t",
                "completed",
                r#"{"type":"resume","payload":{}}"#,
                r#"{"resumed":true}"#,
            ),
            record("a", "started", r#"{"type":"llm_call","payload":{}}"#, "null"),
            "[]".to_owned(),
        ] {
            digest.push(&line);
        }
        assert_eq!(
            digest.counters,
            Counters {
                steps: 3,
                llm_calls: 1,
                tool_calls: 2,
                tokens_total: 18
            }
        );
        assert_eq!(
            digest
                .visits
                .iter()
                .map(|(node, n)| (node.as_str(), *n))
                .collect::<Vec<_>>(),
            [("a", 2), ("t", 1)]
        );
        assert_eq!((digest.records, digest.odd), (8, 1));
        assert!(digest.tool_wait.is_some_and(|line| line.contains("waiting")));
        assert!(digest.last_effect.is_some_and(|line| line.contains("started")));
    }

    #[test]
    fn segments_are_dense_and_bounded() {
        let mut digest = Digest::default();
        for n in 0..150 {
            digest.push(&format!("{{\"n\":{n}}}"));
        }
        let mut all = digest.take_closed();
        assert_eq!(digest.weight(), 0);
        all.extend(digest.take_rest());
        let ranges: Vec<_> = all.iter().map(|s| (s.first_seq, s.last_seq)).collect();
        assert_eq!(ranges, [(1, 64), (65, 128), (129, 150)]);
        assert!(digest.take_rest().is_empty());
    }
}
