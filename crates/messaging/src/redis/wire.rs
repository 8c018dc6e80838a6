//! Names and messages.
//!
//! A run's channel is `feed:<plane>:<run>`; a message is `{"cursor", "record"?, "terminal"}`. The record travels as
//! the very text of the ledger, so that a stream sends what a read would have sent.

use std::fmt::Write as _;

use ag_types::{PlaneId, RunKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::FeedItem;

/// Records up to this size are carried (architecture D1).
pub(super) const MAX_RECORD_BYTES: usize = 32 * 1024;

pub(super) fn channel(run: RunKey) -> String {
    format!("feed:{}:{}", run.plane.0, run.run)
}

pub(super) fn cache_key(run: RunKey) -> String {
    format!("recent:{}:{}", run.plane.0, run.run)
}

/// The run of a channel.
pub(super) fn run_of(channel: &str) -> Option<RunKey> {
    let (plane, run) = channel.strip_prefix("feed:")?.split_once(':')?;
    Some(RunKey {
        run: run.parse().ok()?,
        plane: PlaneId(plane.parse().ok()?),
    })
}

/// The message of an item, on one line.
pub(super) fn encode(item: &FeedItem) -> String {
    match item {
        FeedItem::Terminal { last_seq } => format!(r#"{{"cursor":{last_seq},"terminal":true}}"#),
        FeedItem::Record { seq, line } => {
            let line = line.as_deref();
            // What is not one line would damage the cache, which is a list of lines.
            let line = line.filter(|line| line.len() <= MAX_RECORD_BYTES && !line.contains('\n'));
            let mut out = String::with_capacity(64 + line.map_or(0, str::len));
            // Writing to a string cannot fail. The line is JSON already; parsing it again would only cost time.
            let _ = match line {
                Some(line) => write!(out, r#"{{"cursor":{seq},"terminal":false,"record":{line}}}"#),
                None => write!(out, r#"{{"cursor":{seq},"terminal":false}}"#),
            };
            out
        }
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    cursor: i64,
    terminal: bool,
    #[serde(borrow, default)]
    record: Option<&'a RawValue>,
}

/// The item of a message; `None` if it cannot be read, which its readers notice by the next number.
pub(super) fn decode(message: &[u8]) -> Option<FeedItem> {
    let message: Message<'_> = serde_json::from_slice(message).ok()?;
    Some(match message.terminal {
        true => FeedItem::Terminal {
            last_seq: message.cursor,
        },
        false => FeedItem::Record {
            seq: message.cursor,
            line: message.record.map(|record| record.get().into()),
        },
    })
}

/// The unbroken items after a cursor in the lines of a cache. Lines may be doubled or out of order, because a run's
/// holder may have changed or tried twice.
pub(super) fn after(cache: &[u8], cursor: i64) -> Vec<FeedItem> {
    let mut items: Vec<FeedItem> = cache
        .split(|byte| *byte == b'\n')
        .filter_map(decode)
        .filter(|item| place(item).0 > cursor || matches!(item, FeedItem::Terminal { .. }))
        .collect();
    items.sort_by_key(place);
    items.dedup_by_key(|item| place(item));
    let mut next = cursor + 1;
    let unbroken = items.iter().take_while(|item| match item {
        FeedItem::Record { seq, line } => {
            let fits = *seq == next && line.is_some();
            next += 1;
            fits
        }
        FeedItem::Terminal { last_seq } => *last_seq == next - 1,
    });
    let n = unbroken.count();
    items.truncate(n);
    items
}

/// Order of items: a run's end comes after its last record.
fn place(item: &FeedItem) -> (i64, bool) {
    match item {
        FeedItem::Record { seq, .. } => (*seq, false),
        FeedItem::Terminal { last_seq } => (*last_seq, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: i64) -> FeedItem {
        FeedItem::Record {
            seq,
            line: Some(format!(r#"{{"n":{seq},"x":1.0,"text":"é \" }}"}}"#).into()),
        }
    }

    #[test]
    fn channels_name_runs() {
        let run = RunKey {
            run: "0198aaaa-0000-7000-8000-000000000001".parse().expect("id"),
            plane: PlaneId(7),
        };
        assert_eq!(channel(run), "feed:7:0198aaaa-0000-7000-8000-000000000001");
        assert_eq!(run_of(&channel(run)), Some(run));
        for other in [
            "",
            "feed:",
            "feed:7",
            "feed:x:y",
            "recent:7:0198aaaa-0000-7000-8000-000000000001",
        ] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }

    #[test]
    fn items_survive_to_the_byte() {
        let items = [
            record(3),
            FeedItem::Record { seq: 4, line: None },
            FeedItem::Terminal { last_seq: 4 },
        ];
        for item in items {
            let back = decode(encode(&item).as_bytes()).expect("an item");
            assert_eq!(format!("{back:?}"), format!("{item:?}"));
        }
        let big: String = format!("\"{}\"", "x".repeat(MAX_RECORD_BYTES));
        for line in [big.as_str(), "{\n}"] {
            let item = FeedItem::Record {
                seq: 1,
                line: Some(line.into()),
            };
            assert!(matches!(
                decode(encode(&item).as_bytes()),
                Some(FeedItem::Record { seq: 1, line: None })
            ));
        }
        assert!(decode(b"{}").is_none());
        assert!(decode(b"\xff").is_none());
    }

    #[test]
    fn a_cache_yields_only_what_is_unbroken() {
        let cache = |items: &[FeedItem]| items.iter().map(|item| encode(item) + "\n").collect::<String>();
        let numbers = |items: Vec<FeedItem>| items.iter().map(place).collect::<Vec<_>>();
        let end = FeedItem::Terminal { last_seq: 5 };
        let lines = cache(&[record(3), record(2), record(2), record(4), record(5), end]);
        let all = [(2, false), (3, false), (4, false), (5, false), (5, true)];
        assert_eq!(numbers(after(lines.as_bytes(), 1)), all);
        assert_eq!(numbers(after(lines.as_bytes(), 3)), all[2..]);
        assert_eq!(numbers(after(lines.as_bytes(), 5)), [(5, true)]);
        assert!(after(lines.as_bytes(), 0).is_empty(), "1 is missing");
        let gap = cache(&[record(2), record(4), FeedItem::Terminal { last_seq: 4 }]);
        assert_eq!(numbers(after(gap.as_bytes(), 1)), [(2, false)]);
        let large = cache(&[record(2), FeedItem::Record { seq: 3, line: None }, record(4)]);
        assert_eq!(numbers(after(large.as_bytes(), 1)), [(2, false)]);
        assert!(after(b"", 0).is_empty());
    }
}
