//! The end record, the central directory and the local headers.

use std::collections::HashSet;

use super::{ArchiveError, Entry, Limits, Method, names};

const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const END_BYTES: usize = 22;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const MAX_COMMENT_BYTES: usize = u16::MAX as usize;

/// General-purpose flags: encrypted, strongly encrypted, masked local headers.
const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Sizes follow the data, the local header holds zeros.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// A field whose real value stands in a zip64 extra field.
const ZIP64_MARK: u32 = u32::MAX;
/// A deflate stream cannot exceed this ratio (258 bytes from two bits); more is a lie on its face.
const DEFLATE_MAX_RATIO: u64 = 1032;

/// Little-endian fields with bounds.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn u16(self, at: usize) -> Result<u16, ArchiveError> {
        let bytes = self.slice(at, 2)?;
        Ok(u16::from_le_bytes(bytes.try_into().map_err(|_| CUT)?))
    }

    fn u32(self, at: usize) -> Result<u32, ArchiveError> {
        let bytes = self.slice(at, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| CUT)?))
    }

    fn slice(self, at: usize, len: usize) -> Result<&'a [u8], ArchiveError> {
        let end = at.checked_add(len).ok_or(CUT)?;
        self.0.get(at..end).ok_or(CUT)
    }
}

const CUT: ArchiveError = ArchiveError::Damaged("a header reaches past its end");

/// What the end record says, after its own plausibility checks.
struct End {
    count: usize,
    directory_at: usize,
    at: usize,
}

/// Reads and checks the whole structure.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Entry>, ArchiveError> {
    let end = end_record(bytes)?;
    if end.count > limits.max_entries {
        return Err(ArchiveError::TooManyEntries {
            count: end.count,
            max: limits.max_entries,
        });
    }
    let entries = central_directory(bytes, &end, limits)?;
    check_sizes(&entries, bytes.len() as u64, limits)?;
    check_layout(&entries, &end)?;
    Ok(entries.into_iter().map(|found| found.entry).collect())
}

fn end_record(bytes: &[u8]) -> Result<End, ArchiveError> {
    let at = find_end(bytes)?;
    let record = Fields(bytes.get(at..).ok_or(CUT)?);
    let (count_here, count) = (record.u16(8)?, record.u16(10)?);
    let (size, offset) = (record.u32(12)?, record.u32(16)?);
    if count == u16::MAX || count_here == u16::MAX {
        // Zip64 keeps the real number elsewhere; it is at least this many.
        return Err(ArchiveError::TooManyEntries {
            count: count.into(),
            max: usize::from(u16::MAX - 1),
        });
    }
    if size == ZIP64_MARK || offset == ZIP64_MARK {
        return Err(ArchiveError::Unsupported("zip64"));
    }
    if record.u16(4)? != 0 || record.u16(6)? != 0 || count_here != count {
        return Err(ArchiveError::Unsupported("split archive"));
    }
    let (size, directory_at) = (size as usize, offset as usize);
    if directory_at.checked_add(size) != Some(at) {
        return Err(ArchiveError::StrayData);
    }
    Ok(End {
        count: count.into(),
        directory_at,
        at,
    })
}

/// Position of the end record: the last one whose comment ends with the file.
fn find_end(bytes: &[u8]) -> Result<usize, ArchiveError> {
    let lowest = bytes.len().saturating_sub(END_BYTES + MAX_COMMENT_BYTES);
    let mut any = false;
    for at in (lowest..=bytes.len().saturating_sub(4)).rev() {
        if bytes.get(at..at + 4) != Some(&END_SIGNATURE) {
            continue;
        }
        any = true;
        let comment = bytes
            .get(at + 20..at + 22)
            .map(|len| usize::from(u16::from_le_bytes([len[0], len[1]])));
        if comment.is_some_and(|comment| at + END_BYTES + comment == bytes.len()) {
            return Ok(at);
        }
    }
    Err(if any {
        ArchiveError::TrailingData
    } else if bytes.starts_with(&LOCAL_SIGNATURE) {
        ArchiveError::Truncated
    } else {
        ArchiveError::NotAZip
    })
}

/// An entry with the span it occupies, header included.
struct Found {
    entry: Entry,
    header_at: usize,
}

fn central_directory(bytes: &[u8], end: &End, limits: &Limits) -> Result<Vec<Found>, ArchiveError> {
    let mut entries = Vec::with_capacity(end.count);
    let mut seen = names::Seen::default();
    let mut exact = HashSet::with_capacity(end.count);
    let mut at = end.directory_at;
    for _ in 0..end.count {
        let record = Fields(bytes.get(at..end.at).ok_or(CUT)?);
        if record.slice(0, 4)? != CENTRAL_SIGNATURE {
            return Err(ArchiveError::Damaged("a directory record has no signature"));
        }
        let name_len = usize::from(record.u16(28)?);
        let raw_name = record.slice(CENTRAL_BYTES, name_len)?;
        let tail = usize::from(record.u16(30)?) + usize::from(record.u16(32)?);
        record.slice(CENTRAL_BYTES + name_len, tail)?;
        let found = entry(bytes, end, record, raw_name, limits)?;
        seen.insert(&found.entry.name)?;
        if !exact.insert(found.entry.name.clone()) {
            return Err(ArchiveError::Collision(found.entry.name));
        }
        entries.push(found);
        at += CENTRAL_BYTES + name_len + tail;
    }
    if at == end.at {
        Ok(entries)
    } else {
        Err(ArchiveError::Damaged("more directory records than announced"))
    }
}

/// One directory record, compared with its local header.
fn entry(
    bytes: &[u8],
    end: &End,
    record: Fields<'_>,
    raw_name: &[u8],
    limits: &Limits,
) -> Result<Found, ArchiveError> {
    let name = names::check(raw_name, limits.max_name_bytes)?;
    let flags = record.u16(8)?;
    let method_number = record.u16(10)?;
    let crc32 = record.u32(16)?;
    let (compressed, size) = (record.u32(20)?, record.u32(24)?);
    let header_at = record.u32(42)?;
    if flags & FLAGS_ENCRYPTED != 0 {
        return Err(ArchiveError::Encrypted(name));
    }
    if compressed == ZIP64_MARK || size == ZIP64_MARK || header_at == ZIP64_MARK {
        return Err(ArchiveError::Unsupported("zip64"));
    }
    if record.u16(34)? != 0 {
        return Err(ArchiveError::Unsupported("split archive"));
    }
    // The upper half of the external attributes is a Unix mode, whatever system the header names:
    // unpackers disagree about when to honour it. Zero means "not given".
    let file_type = (record.u32(38)? >> 16) & 0o170_000;
    let is_dir = name.ends_with('/');
    let plain = match file_type {
        0 => true,
        0o100_000 => !is_dir,
        0o040_000 => is_dir,
        _ => false,
    };
    if !plain {
        return Err(ArchiveError::NotAFile(name));
    }
    let method = match method_number {
        0 => Method::Stored,
        8 => Method::Deflated,
        method => return Err(ArchiveError::Compression { name, method }),
    };
    let impossible = match method {
        Method::Stored => compressed != size,
        Method::Deflated => u64::from(size) > u64::from(compressed).saturating_mul(DEFLATE_MAX_RATIO),
    };
    if impossible || (is_dir && size != 0) {
        return Err(ArchiveError::LyingSize(name));
    }

    let header_at = header_at as usize;
    let local = Fields(bytes.get(header_at..end.directory_at).ok_or(CUT)?);
    if local.slice(0, 4)? != LOCAL_SIGNATURE {
        return Err(ArchiveError::Damaged("a local header has no signature"));
    }
    let local_flags = local.u16(6)?;
    if local_flags & FLAGS_ENCRYPTED != 0 {
        return Err(ArchiveError::Encrypted(name));
    }
    let local_name = local.slice(LOCAL_BYTES, local.u16(26)?.into())?;
    if local_name != raw_name || local.u16(8)? != method_number {
        return Err(ArchiveError::Damaged("a local header differs from the directory"));
    }
    if local_flags & FLAG_DESCRIPTOR == 0 {
        let differs = |at, central| local.u32(at).map(|value| value != central && value != ZIP64_MARK);
        if differs(18, compressed)? || differs(22, size)? || local.u32(14)? != crc32 {
            return Err(ArchiveError::Damaged("a local header differs from the directory"));
        }
    }
    let data_at = header_at + LOCAL_BYTES + local_name.len() + usize::from(local.u16(28)?);
    let data_end = data_at
        .checked_add(compressed as usize)
        .filter(|data_end| *data_end <= end.directory_at);
    let data_end = data_end.ok_or(ArchiveError::Damaged("an entry reaches into the directory"))?;
    let entry = Entry {
        name,
        method,
        crc32,
        size: size.into(),
        data: data_at..data_end,
    };
    Ok(Found { entry, header_at })
}

/// Declared sizes against the limits; nothing has been inflated yet.
fn check_sizes(entries: &[Found], archive_bytes: u64, limits: &Limits) -> Result<(), ArchiveError> {
    let ratio = |size: u64, compressed: u64| {
        let ratio = size / compressed.max(1);
        if size > limits.ratio_floor_bytes && ratio > limits.max_ratio {
            return Err(ArchiveError::Ratio {
                ratio,
                max: limits.max_ratio,
            });
        }
        Ok(())
    };
    let mut total = 0_u64;
    for Found { entry, .. } in entries {
        if entry.size > limits.max_entry_bytes {
            return Err(ArchiveError::EntryTooLarge {
                name: entry.name.clone(),
                size: entry.size,
                max: limits.max_entry_bytes,
            });
        }
        ratio(entry.size, entry.data.len() as u64)?;
        total = total.saturating_add(entry.size);
    }
    if total > limits.max_total_bytes {
        return Err(ArchiveError::TooLarge {
            size: total,
            max: limits.max_total_bytes,
        });
    }
    ratio(total, archive_bytes)
}

/// The first entry starts the file and no two entries share bytes. Gaps are allowed: data descriptors
/// and alignment padding live there.
fn check_layout(entries: &[Found], end: &End) -> Result<(), ArchiveError> {
    let mut by_place: Vec<&Found> = entries.iter().collect();
    by_place.sort_unstable_by_key(|found| found.header_at);
    let first = by_place.first().map_or(end.directory_at, |found| found.header_at);
    if first != 0 {
        return Err(ArchiveError::StrayData);
    }
    for pair in by_place.windows(2) {
        if let [before, after] = pair
            && before.entry.data.end > after.header_at
        {
            return Err(ArchiveError::Overlap(
                before.entry.name.clone(),
                after.entry.name.clone(),
            ));
        }
    }
    Ok(())
}
