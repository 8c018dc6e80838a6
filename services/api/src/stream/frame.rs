//! Frames, byte-exact (runs contract §3). Separators are `", "` and `": "` outside of the record, whose stored text
//! is copied.

use std::fmt::Write;

/// Sent while nothing happens.
pub(super) const KEEP_ALIVE: &str = ": keep-alive\n\n";
/// Sent before a drain ends the stream: reconnect soon, but not all at once.
pub(super) const RETRY: &str = "retry: 1000\n\n";

/// Appends a record.
pub(super) fn step(out: &mut String, cursor: i64, record: &str) {
    out.reserve(record.len() + 80);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "id: {cursor}\nevent: step\ndata: {{\"cursor\": {cursor}, \"record\": {record}}}\n\n"
    );
}

/// Appends the end.
pub(super) fn done(out: &mut String, run: &str, cursor: i64) {
    let run = serde_json::Value::from(run);
    let _ = write!(
        out,
        "event: done\ndata: {{\"run_id\": {run}, \"cursor\": {cursor}, \"status\": \"terminal\"}}\n\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_byte_exact() {
        let mut out = String::new();
        step(&mut out, 3, r#"{"a":"é"}"#);
        done(&mut out, "r-1", 7);
        assert_eq!(
            out,
            "id: 3\nevent: step\ndata: {\"cursor\": 3, \"record\": {\"a\":\"é\"}}\n\n\
             event: done\ndata: {\"run_id\": \"r-1\", \"cursor\": 7, \"status\": \"terminal\"}\n\n"
        );
    }
}
