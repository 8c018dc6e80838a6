//! Between the state that steps change and the columns that the store keeps.

use std::{cell::RefCell, sync::Arc};

use ag_kernel::{Counts, RunAux};
use ag_store::{Counters, RunColumns, Segment, StoreError};
use ag_types::{
    Object, RunHead, RunState,
    json::{write_object, write_value},
};
use serde_json::Value;

use crate::lifecycle;

/// Most records in one segment.
const SEGMENT_RECORDS: usize = 64;
/// Size in bytes after which a segment is closed.
const SEGMENT_BYTES: usize = 32 * 1024;

/// The columns of a state.
pub fn encode(run: &RunState, aux: &RunAux, counters: Counters) -> RunColumns {
    let wait = run.waiting.as_ref();
    RunColumns {
        status: run.status,
        current_node: run.current_node.clone(),
        wait_reason: wait.map(|wait| wait.reason),
        wait_key: wait.and_then(|wait| wait.wait_key.clone()),
        wait_until: wait.and_then(|wait| wait.until),
        paused: run.is_paused(),
        error: run.error.clone(),
        wait: wait.map(text),
        vars: text_with(|buffer| write_object(&run.vars, buffer)),
        meta: text(aux),
        output: run
            .output
            .as_ref()
            .map(|output| text_with(|buffer| write_value(output, buffer))),
        lifecycle: lifecycle::of_vars(&run.vars).as_ref().map(text),
        counters,
        updated_at: run.updated_at,
    }
}

thread_local! {
    /// Where texts are made: states of some ten kilobytes are written at each commit, and growing a buffer for each
    /// of them cost more than writing into it.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// A buffer that grew beyond this is given back.
const KEEP_BYTES: usize = 1024 * 1024;

fn text<T: serde::Serialize>(value: &T) -> Arc<str> {
    text_with(|buffer| {
        // Only maps with text keys, numbers and texts: these always serialise.
        let written = serde_json::to_writer(buffer, value);
        debug_assert!(written.is_ok(), "{written:?}");
    })
}

fn text_with(write: impl FnOnce(&mut Vec<u8>)) -> Arc<str> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        write(buffer);
        let text = Arc::from(std::str::from_utf8(buffer).unwrap_or_default());
        if buffer.capacity() > KEEP_BYTES {
            *buffer = Vec::new();
        }
        text
    })
}

/// The state behind columns.
///
/// # Errors
/// [`StoreError::Corrupt`] naming the column.
pub fn decode(head: RunHead, columns: &RunColumns) -> Result<(RunState, RunAux), StoreError> {
    let vars: Object = parse("runs.vars", &columns.vars)?;
    let waiting = columns
        .wait
        .as_deref()
        .map(|wait| parse("runs.wait", wait))
        .transpose()?;
    let output: Option<Value> = columns
        .output
        .as_deref()
        .map(|output| parse("runs.output", output))
        .transpose()?;
    let aux = parse("runs.meta", &columns.meta)?;
    let run = RunState {
        head,
        status: columns.status,
        current_node: columns.current_node.clone(),
        vars,
        waiting,
        output,
        error: columns.error.clone(),
        updated_at: columns.updated_at,
    };
    Ok((run, aux))
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        what,
        detail: error.to_string(),
    })
}

/// Adds what a tick counted.
pub fn add_counts(counters: &mut Counters, counts: Counts) {
    counters.steps = counters.steps.saturating_add(counts.steps);
    counters.llm_calls = counters.llm_calls.saturating_add(counts.llm_calls);
    counters.tool_calls = counters.tool_calls.saturating_add(counts.tool_calls);
    counters.tokens_total = counters.tokens_total.saturating_add(counts.tokens_total);
}

/// Packs records into segments that continue after `last_seq`.
pub fn segments(records: &[String], last_seq: i64) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    let mut lines = String::new();
    let (mut first, mut seq) = (last_seq + 1, last_seq);
    for record in records {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(record);
        seq += 1;
        if lines.len() >= SEGMENT_BYTES || (seq - first + 1) as usize >= SEGMENT_RECORDS {
            out.push(Segment {
                first_seq: first,
                last_seq: seq,
                lines: std::mem::take(&mut lines).into(),
            });
            first = seq + 1;
        }
    }
    if !lines.is_empty() {
        out.push(Segment {
            first_seq: first,
            last_seq: seq,
            lines: lines.into(),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_dense_and_bounded() {
        let records: Vec<String> = (0..150).map(|i| format!("{{\"n\":{i}}}")).collect();
        let packed = segments(&records, 7);
        assert_eq!(
            packed
                .iter()
                .map(|s| (s.first_seq, s.last_seq))
                .collect::<Vec<_>>(),
            [(8, 71), (72, 135), (136, 157)]
        );
        let lines: Vec<&str> = packed.iter().flat_map(|s| s.lines.split('\n')).collect();
        assert_eq!(lines, records);
        assert!(segments(&[], 7).is_empty());
    }
}
