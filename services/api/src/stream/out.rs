//! What one write of a stream is made of.

use bytes::Bytes;

/// Frames on their way out. A single frame that others send as well is passed on without a copy.
#[derive(Default)]
pub(super) struct Out {
    /// The only frame so far; `text` is empty then.
    shared: Option<Bytes>,
    text: String,
}

impl Out {
    pub(super) fn is_empty(&self) -> bool {
        self.shared.is_none() && self.text.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.shared.as_ref().map_or(self.text.len(), Bytes::len)
    }

    /// Appends a frame that others may send, too.
    pub(super) fn push(&mut self, frame: Bytes) {
        if self.is_empty() {
            self.shared = Some(frame);
        } else {
            // Frames are texts.
            self.text()
                .push_str(std::str::from_utf8(&frame).unwrap_or_default());
        }
    }

    /// Where more is appended.
    pub(super) fn text(&mut self) -> &mut String {
        if let Some(shared) = self.shared.take() {
            self.text = String::from_utf8(shared.into()).unwrap_or_default();
        }
        &mut self.text
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.shared.unwrap_or_else(|| self.text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_shared_frame_is_not_copied() {
        let frame = Bytes::from("id: 1\n\n".to_owned());
        let mut out = Out::default();
        assert!(out.is_empty());
        out.push(frame.clone());
        assert_eq!(out.len(), frame.len());
        assert_eq!(out.into_bytes().as_ptr(), frame.as_ptr());
    }

    #[test]
    fn frames_keep_their_order() {
        let mut out = Out::default();
        out.push(Bytes::from_static(b"a"));
        out.push(Bytes::from_static(b"b"));
        out.text().push('c');
        out.push(Bytes::from_static(b"d"));
        assert_eq!(out.into_bytes(), "abcd");
        let mut out = Out::default();
        out.text().push('a');
        out.push(Bytes::from_static(b"b"));
        assert_eq!(out.into_bytes(), "ab");
    }
}
