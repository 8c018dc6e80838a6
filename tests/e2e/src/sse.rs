//! Server-sent events as a client sees them.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, Result};

/// Longest silence; keep-alive comments come every second.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);

/// One event. Comments are not events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `id:`, the cursor.
    pub id: Option<String>,
    /// `event:`.
    pub name: String,
    /// `data:`, lines joined.
    pub data: String,
}

/// Cuts bytes into events, wherever the pieces are cut.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    filled: bool,
    ready: VecDeque<Event>,
}

impl Parser {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take_line(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(byte);
            }
        }
    }

    /// The next whole event.
    pub fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn take_line(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            if std::mem::take(&mut self.filled) {
                self.ready.push_back(std::mem::take(&mut self.event));
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            _ => return,
        }
        self.filled = true;
    }
}

/// An open stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    response: reqwest::Response,
    parser: Parser,
}

impl Stream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: Parser::default(),
        }
    }

    /// The next event, `None` at the end of the stream.
    ///
    /// # Errors
    /// The connection broke, or nothing came, not even a comment.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.pop() {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(SILENCE_LIMIT, self.response.chunk()).await;
            match chunk.context("a silent stream")?? {
                Some(bytes) => self.parser.push(&bytes),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_any_cut() {
        let text =
            "id: 3\nevent: step\ndata: {\"a\": \"ü\"}\n\n: keep-alive\n\nevent: done\ndata: 1\ndata: 2\n\n";
        let whole = [
            Event {
                id: Some("3".to_owned()),
                name: "step".to_owned(),
                data: "{\"a\": \"ü\"}".to_owned(),
            },
            Event {
                id: None,
                name: "done".to_owned(),
                data: "1\n2".to_owned(),
            },
        ];
        for cut in 0..=text.len() {
            let mut parser = Parser::default();
            parser.push(&text.as_bytes()[..cut]);
            parser.push(&text.as_bytes()[cut..]);
            let events: Vec<_> = std::iter::from_fn(|| parser.pop()).collect();
            assert_eq!(events, whole, "cut at {cut}");
        }
    }
}
