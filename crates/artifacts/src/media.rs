//! Facts about images and sound read from their headers, without decoding.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use serde_json::{Map, Value, json};

/// Bytes that are read at a time; headers are short, and what lies between them is passed over.
const WINDOW: usize = 16 * 1024;

/// The `media` object of a descriptor; empty for what is neither image, sound nor video.
///
/// A file that is not what its type says yields the kind with `inspection_source: "unsupported"`.
pub fn inspect_media(content_type: &str, content: &[u8]) -> Map<String, Value> {
    let found = inspect_media_in(content_type, &mut Cursor::new(content), content.len() as u64);
    // Memory cannot fail to be read.
    found.unwrap_or_default()
}

/// The same for content of `size` bytes that is read from its start where it lies.
///
/// # Errors
/// When it cannot be read.
pub fn inspect_media_in(
    content_type: &str,
    content: &mut (impl Read + Seek),
    size: u64,
) -> io::Result<Map<String, Value>> {
    let kind = match crate::render_kind(content_type) {
        kind @ ("image" | "audio" | "video") => kind,
        _ => return Ok(Map::new()),
    };
    let mut bytes = Bytes {
        source: content,
        size,
        window: Vec::new(),
        start: 0,
        failed: None,
    };
    let found = match kind {
        "image" => image(&mut bytes).map(|(format, width, height)| {
            json!({"kind": "image", "width": width, "height": height, "format": format, "inspection_source": "header"})
        }),
        "audio" => wave(&mut bytes),
        _ => None,
    };
    if let Some(error) = bytes.failed {
        return Err(error);
    }
    Ok(
        match found.unwrap_or_else(|| json!({"kind": kind, "inspection_source": "unsupported"})) {
            Value::Object(map) => map,
            _ => Map::new(),
        },
    )
}

/// Numbers at any place of a content.
struct Bytes<'a, R> {
    source: &'a mut R,
    size: u64,
    window: Vec<u8>,
    /// Place of the window's first byte.
    start: u64,
    failed: Option<io::Error>,
}

impl<R: Read + Seek> Bytes<'_, R> {
    /// `None` beyond the end, and once the source has failed.
    fn get<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let end = at.checked_add(N as u64)?;
        if end > self.size || self.failed.is_some() {
            return None;
        }
        let is_held = at >= self.start && end <= self.start + self.window.len() as u64;
        if !is_held && let Err(error) = self.fill(at) {
            self.failed = Some(error);
            return None;
        }
        let from = usize::try_from(at - self.start).ok()?;
        self.window.get(from..from + N)?.try_into().ok()
    }

    fn fill(&mut self, at: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(at))?;
        self.window.clear();
        self.start = at;
        let left = self.size - at;
        self.source
            .take(left.min(WINDOW as u64))
            .read_to_end(&mut self.window)?;
        Ok(())
    }

    fn starts_with<const N: usize>(&mut self, magic: &[u8; N]) -> bool {
        self.get::<N>(0).as_ref() == Some(magic)
    }

    fn byte(&mut self, at: u64) -> Option<u8> {
        self.get::<1>(at).map(|[byte]| byte)
    }

    fn be16(&mut self, at: u64) -> Option<u16> {
        self.get(at).map(u16::from_be_bytes)
    }

    fn be32(&mut self, at: u64) -> Option<u32> {
        self.get(at).map(u32::from_be_bytes)
    }

    fn le16(&mut self, at: u64) -> Option<u16> {
        self.get(at).map(u16::from_le_bytes)
    }

    fn le24(&mut self, at: u64) -> Option<u32> {
        let [a, b, c] = self.get(at)?;
        Some(u32::from_le_bytes([a, b, c, 0]))
    }

    fn le32(&mut self, at: u64) -> Option<u32> {
        self.get(at).map(u32::from_le_bytes)
    }
}

fn image<R: Read + Seek>(bytes: &mut Bytes<'_, R>) -> Option<(&'static str, u32, u32)> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(("png", bytes.be32(16)?, bytes.be32(20)?));
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Some(("gif", bytes.le16(6)?.into(), bytes.le16(8)?.into()));
    }
    if bytes.starts_with(b"\xff\xd8") {
        return jpeg(bytes).map(|(width, height)| ("jpeg", width, height));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8)? == *b"WEBP" {
        return webp(bytes).map(|(width, height)| ("webp", width, height));
    }
    None
}

/// Walks the segments up to the first frame header.
fn jpeg<R: Read + Seek>(bytes: &mut Bytes<'_, R>) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        // Markers may be preceded by any number of fill bytes.
        while bytes.byte(at)? == 0xff && bytes.byte(at + 1)? == 0xff {
            at += 1;
        }
        if bytes.byte(at)? != 0xff {
            return None;
        }
        let marker = bytes.byte(at + 1)?;
        match marker {
            // Stand-alone markers have no length.
            0x01 | 0xd0..=0xd7 => at += 2,
            // Start of frame, except the tables and extensions between them.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((bytes.be16(at + 7)?.into(), bytes.be16(at + 5)?.into()));
            }
            // End of image, start of scan: no frame header came.
            0xd9 | 0xda => return None,
            _ => {
                let length = u64::from(bytes.be16(at + 2)?);
                if length < 2 {
                    return None;
                }
                at += 2 + length;
            }
        }
    }
}

fn webp<R: Read + Seek>(bytes: &mut Bytes<'_, R>) -> Option<(u32, u32)> {
    match &bytes.get(12)? {
        b"VP8X" => Some((bytes.le24(24)? + 1, bytes.le24(27)? + 1)),
        b"VP8L" => {
            let bits = bytes.le32(21)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((
            u32::from(bytes.le16(26)? & 0x3fff),
            u32::from(bytes.le16(28)? & 0x3fff),
        )),
        _ => None,
    }
}

/// The `fmt ` and `data` chunks of a RIFF wave file.
fn wave<R: Read + Seek>(bytes: &mut Bytes<'_, R>) -> Option<Value> {
    if !bytes.starts_with(b"RIFF") || bytes.get(8)? != *b"WAVE" {
        return None;
    }
    let mut at = 12_u64;
    let mut format: Option<(u16, u32, u16)> = None;
    loop {
        let name: [u8; 4] = bytes.get(at)?;
        let size = u64::from(bytes.le32(at + 4)?);
        let body = at + 8;
        match &name {
            b"fmt " => {
                format = Some((
                    bytes.le16(body + 2)?,
                    bytes.le32(body + 4)?,
                    bytes.le16(body + 12)?,
                ));
            }
            b"data" => {
                let (channels, sample_rate, block) = format?;
                if block == 0 || sample_rate == 0 {
                    return None;
                }
                // Streams written on the fly carry an impossible size; the bytes are what counts.
                let present = size.min(bytes.size.checked_sub(body)?);
                let frames = present / u64::from(block);
                let duration = frames as f64 / f64::from(sample_rate);
                return Some(json!({
                    "kind": "audio", "duration_s": duration, "sample_rate": sample_rate, "channels": channels,
                    "frames": frames, "inspection_source": "wave",
                }));
            }
            _ => {}
        }
        at = body.checked_add(size)?.checked_add(size & 1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    fn wav(frames: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend([1u16.to_le_bytes(), 2u16.to_le_bytes()].concat());
        bytes.extend([8000u32.to_le_bytes(), 32000u32.to_le_bytes()].concat());
        bytes.extend([4u16.to_le_bytes(), 16u16.to_le_bytes()].concat());
        bytes.extend(b"data");
        bytes.extend((frames * 4).to_le_bytes());
        bytes.resize(bytes.len() + frames as usize * 4, 0);
        bytes
    }

    #[test]
    fn image_sizes() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\0\x03\0\x05".to_vec();
        let gif = b"GIF89a\x05\0\x03\0".to_vec();
        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
        webp.extend([4, 0, 0, 2, 0, 0]);
        for (mime, bytes, format) in [
            ("image/png", png(5, 3), "png"),
            ("image/jpeg", jpeg, "jpeg"),
            ("image/gif", gif, "gif"),
            ("image/webp", webp, "webp"),
        ] {
            let expected = json!({"kind": "image", "width": 5, "height": 3, "format": format, "inspection_source": "header"});
            assert_eq!(Value::Object(inspect_media(mime, &bytes)), expected, "{format}");
        }
    }

    #[test]
    fn wave_facts() {
        let expected = json!({"kind": "audio", "duration_s": 0.5, "sample_rate": 8000, "channels": 2, "frames": 4000, "inspection_source": "wave"});
        assert_eq!(Value::Object(inspect_media("audio/x-wav", &wav(4000))), expected);
    }

    #[test]
    fn others_and_every_truncation() {
        assert!(inspect_media("text/plain", b"abc").is_empty());
        assert_eq!(
            Value::Object(inspect_media("video/mp4", b"abc")),
            json!({"kind": "video", "inspection_source": "unsupported"})
        );
        let late = [
            b"\xff\xd8\xff\xe1\xff\xff".to_vec(),
            vec![0; 65_533],
            b"\xff\xc0\0\x11\x08\0\x03\0\x05".to_vec(),
        ]
        .concat();
        assert_eq!(
            inspect_media("image/jpeg", &late)["width"],
            5,
            "far behind the first window"
        );
        for whole in [
            png(1, 1),
            wav(3),
            b"\xff\xd8\xff\xe0\xff\xffab".to_vec(),
            b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff".to_vec(),
        ] {
            for end in 0..whole.len() {
                for mime in ["image/png", "audio/wav"] {
                    assert!(!inspect_media(mime, &whole[..end]).is_empty());
                }
            }
        }
    }
}
