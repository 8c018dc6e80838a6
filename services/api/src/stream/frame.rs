//! Frames, byte-exact (runs contract §3). Separators are `", "` and `": "` outside of the record, whose stored text
//! is copied.

use std::fmt::Write;

/// Sent while nothing happens.
pub(super) const KEEP_ALIVE: &str = ": keep-alive\n\n";
/// Bounds of the pause after which clients of a draining node come back, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<u16> = 500..=2_500;

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

/// Appends what is sent before a drain ends the stream: reconnect soon, but not all at once. `spread` is random.
pub(super) fn retry(out: &mut String, spread: u64) {
    let span = u64::from(RETRY_MS.end() - RETRY_MS.start()) + 1;
    let pause = u64::from(*RETRY_MS.start()) + spread % span;
    let _ = write!(out, "retry: {pause}\n\n");
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

    #[test]
    fn clients_come_back_one_after_the_other() {
        for (spread, wanted) in [
            (0, "retry: 500\n\n"),
            (2_000, "retry: 2500\n\n"),
            (2_001, "retry: 500\n\n"),
        ] {
            let mut out = String::new();
            retry(&mut out, spread);
            assert_eq!(out, wanted);
        }
    }
}
