//! Reading server-sent events from a response body.

use futures::StreamExt as _;
use serde_json::Value;

/// One event of a ledger stream.
#[derive(Debug)]
pub(crate) enum Event {
    /// A record with its cursor.
    Step(i64, Value),
    /// The run is terminal and everything was sent.
    Done,
}

/// Splits a body into events; comments and unknown events are skipped.
pub(crate) struct Events {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            body: response.bytes_stream().boxed(),
            buffer: Vec::new(),
        }
    }

    /// The next event; `None` when the connection ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&frame)) {
                    return Some(event);
                }
            }
            let chunk = self.body.next().await?.ok()?;
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

fn parse(frame: &str) -> Option<Event> {
    let field = |name: &str| {
        frame.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')
                .map(|rest| rest.trim_start_matches(' '))
        })
    };
    match field("event")? {
        "step" => {
            let data: Value = serde_json::from_str(field("data")?).ok()?;
            let cursor = data.get("cursor")?.as_i64()?;
            Some(Event::Step(cursor, data.get("record")?.clone()))
        }
        "done" => Some(Event::Done),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_events() {
        let step = "id: 3\nevent: step\ndata: {\"cursor\": 3, \"record\": {\"node_id\": \"a\"}}\n\n";
        assert!(matches!(parse(step), Some(Event::Step(3, record)) if record["node_id"] == "a"));
        assert!(matches!(parse("event: done\ndata: {}\n\n"), Some(Event::Done)));
        assert!(parse(": keep-alive\n\n").is_none());
    }
}
