//! Facts about images and sound read from their headers, without decoding.

use serde_json::{Map, Value, json};

/// The `media` object of a descriptor; empty for what is neither image, sound nor video.
///
/// A file that is not what its type says yields the kind with `inspection_source: "unsupported"`.
pub fn inspect_media(content_type: &str, content: &[u8]) -> Map<String, Value> {
    let kind = match crate::render_kind(content_type) {
        kind @ ("image" | "audio" | "video") => kind,
        _ => return Map::new(),
    };
    let found = match kind {
        "image" => image(content).map(|(format, width, height)| {
            json!({"kind": "image", "width": width, "height": height, "format": format, "inspection_source": "header"})
        }),
        "audio" => wave(content),
        _ => None,
    };
    match found.unwrap_or_else(|| json!({"kind": kind, "inspection_source": "unsupported"})) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn image(bytes: &[u8]) -> Option<(&'static str, u32, u32)> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(("png", be32(bytes, 16)?, be32(bytes, 20)?));
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Some(("gif", le16(bytes, 6)?.into(), le16(bytes, 8)?.into()));
    }
    if bytes.starts_with(b"\xff\xd8") {
        return jpeg(bytes).map(|(width, height)| ("jpeg", width, height));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        return webp(bytes).map(|(width, height)| ("webp", width, height));
    }
    None
}

/// Walks the segments up to the first frame header.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        // Markers may be preceded by any number of fill bytes.
        while *bytes.get(at)? == 0xff && *bytes.get(at + 1)? == 0xff {
            at += 1;
        }
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Stand-alone markers have no length.
            0x01 | 0xd0..=0xd7 => at += 2,
            // Start of frame, except the tables and extensions between them.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?.into(), be16(bytes, at + 5)?.into()));
            }
            // End of image, start of scan: no frame header came.
            0xd9 | 0xda => return None,
            _ => {
                let length = usize::from(be16(bytes, at + 2)?);
                if length < 2 {
                    return None;
                }
                at += 2 + length;
            }
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(bytes, 24)? + 1, le24(bytes, 27)? + 1)),
        b"VP8L" => {
            let bits = le32(bytes, 21)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((
            u32::from(le16(bytes, 26)? & 0x3fff),
            u32::from(le16(bytes, 28)? & 0x3fff),
        )),
        _ => None,
    }
}

/// The `fmt ` and `data` chunks of a RIFF wave file.
fn wave(bytes: &[u8]) -> Option<Value> {
    if !bytes.starts_with(b"RIFF") || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut at = 12usize;
    let mut format: Option<(u16, u32, u16)> = None;
    loop {
        let name = bytes.get(at..at + 4)?;
        let size = usize::try_from(le32(bytes, at + 4)?).ok()?;
        let body = at + 8;
        match name {
            b"fmt " => {
                format = Some((
                    le16(bytes, body + 2)?,
                    le32(bytes, body + 4)?,
                    le16(bytes, body + 12)?,
                ));
            }
            b"data" => {
                let (channels, sample_rate, block) = format?;
                if block == 0 || sample_rate == 0 {
                    return None;
                }
                // Streams written on the fly carry an impossible size; the bytes are what counts.
                let present = size.min(bytes.len().checked_sub(body)?);
                let frames = present / usize::from(block);
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

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(le16(bytes, at)?) | u32::from(*bytes.get(at + 2)?) << 16)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
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
