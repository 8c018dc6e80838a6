//! Streams of small texts over one long body.

use ag_providers::ProviderError;

/// How a body is cut into texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: the data of each.
    Events,
    /// One text per line.
    Lines,
}

/// Cuts a byte stream into its texts.
#[derive(Debug)]
pub struct EventReader {
    framing: Framing,
    buffer: Vec<u8>,
    /// Part of the buffer that holds no line end.
    searched: usize,
    data: String,
}

impl EventReader {
    /// Reads bodies of this kind.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            buffer: Vec::new(),
            searched: 0,
            data: String::new(),
        }
    }

    /// Takes bytes in and hands each complete text to `event`.
    ///
    /// # Errors
    /// Those of `event`.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut event: impl FnMut(&str) -> Result<(), ProviderError>,
    ) -> Result<(), ProviderError> {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(offset) = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let end = self.searched + offset;
            let line = String::from_utf8_lossy(&self.buffer[start..end]);
            let line = line.trim_end_matches('\r');
            match self.framing {
                Framing::Lines if line.trim().is_empty() => {}
                Framing::Lines => event(line)?,
                Framing::Events => {
                    if let Some(data) = line.strip_prefix("data:") {
                        if !self.data.is_empty() {
                            self.data.push('\n');
                        }
                        self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                    } else if line.is_empty() && !self.data.is_empty() {
                        event(&std::mem::take(&mut self.data))?;
                    }
                }
            }
            start = end + 1;
            self.searched = start;
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        Ok(())
    }

    /// A text that the end of the body cut off before its end mark.
    pub fn rest(&mut self) -> Option<String> {
        match self.framing {
            Framing::Events => (!self.data.is_empty()).then(|| std::mem::take(&mut self.data)),
            Framing::Lines => {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.buffer))
                    .trim()
                    .to_owned();
                self.searched = 0;
                (!line.is_empty()).then_some(line)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, body: &str, step: usize) -> Vec<String> {
        let mut reader = EventReader::new(framing);
        let mut found = Vec::new();
        for piece in body.as_bytes().chunks(step) {
            reader
                .push(piece, |text| {
                    found.push(text.to_owned());
                    Ok(())
                })
                .expect("event");
        }
        found.extend(reader.rest());
        found
    }

    #[test]
    fn texts_are_whole_wherever_the_body_is_cut() {
        for step in [1, 2, 3, 1000] {
            assert_eq!(
                cut(
                    Framing::Events,
                    ": hi\r\n\r\nevent: x\ndata: a\u{eb}\ndata: b\n\ndata:c\r\n\r\ndata: cut\n",
                    step
                ),
                ["a\u{eb}\nb", "c", "cut"]
            );
            assert_eq!(
                cut(Framing::Lines, "{\"a\":1}\r\n\n{\"b\"\n tail ", step),
                ["{\"a\":1}", "{\"b\"", "tail"]
            );
        }
    }
}
