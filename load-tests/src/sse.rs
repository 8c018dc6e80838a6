//! Just enough of server-sent events to count records and see the end, without building strings.

/// What a piece of a stream contained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Cursor of the last record so far.
    pub cursor: u64,
    /// The `done` event was seen.
    pub done: bool,
}

/// Looks at the first bytes of each line, wherever the pieces are cut.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Beginning of the current line; longer lines are of no interest.
    head: [u8; 32],
    filled: usize,
    seen: Seen,
}

impl Scanner {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Seen {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let line = &bytes[..end.unwrap_or(bytes.len())];
            let room = self.head.len() - self.filled;
            let take = line.len().min(room);
            self.head[self.filled..self.filled + take].copy_from_slice(&line[..take]);
            self.filled += take;
            match end {
                Some(end) => {
                    self.end_line();
                    bytes = &bytes[end + 1..];
                }
                None => break,
            }
        }
        self.seen
    }

    fn end_line(&mut self) {
        let line = &self.head[..self.filled];
        self.filled = 0;
        if let Some(digits) = line.strip_prefix(b"id: ") {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            self.seen.cursor = text.trim_end().parse().unwrap_or(self.seen.cursor);
        } else if line.starts_with(b"event: done") {
            self.seen.done = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same() {
        let long = "x".repeat(100);
        let text = format!(
            "id: 7\nevent: step\ndata: {long}\n\n: keep-alive\n\nid: 12\nevent: step\ndata: id: 99\n\nevent: done\n"
        );
        for cut in 0..=text.len() {
            let mut scanner = Scanner::default();
            scanner.push(&text.as_bytes()[..cut]);
            let seen = scanner.push(&text.as_bytes()[cut..]);
            let seen = if cut == text.len() { scanner.seen } else { seen };
            assert_eq!(
                seen,
                Seen {
                    cursor: 12,
                    done: true
                },
                "cut at {cut}"
            );
        }
    }
}
