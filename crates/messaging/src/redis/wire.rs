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
            let line = line.filter(|line| line.len() <= MAX_RECORD_BYTES);
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
        let item = FeedItem::Record {
            seq: 1,
            line: Some(big.as_str().into()),
        };
        assert!(matches!(
            decode(encode(&item).as_bytes()),
            Some(FeedItem::Record { seq: 1, line: None })
        ));
        assert!(decode(b"{}").is_none());
        assert!(decode(b"\xff").is_none());
    }
}
