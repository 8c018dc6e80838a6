//! Hand-made zips for tests: every header field can lie.

use std::io::Write as _;

use flate2::{Compression, Crc, write::DeflateEncoder};

/// One entry; `None` fields are computed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawEntry {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    pub stored: bool,
    pub local_name: Option<Vec<u8>>,
    pub size: Option<u32>,
    pub local_size: Option<u32>,
    pub crc: Option<u32>,
    pub method: Option<u16>,
    pub flags: u16,
    pub mode: u32,
    /// Point at this earlier entry's header instead of writing one.
    pub alias: Option<usize>,
    /// Bytes after the compressed data that the header counts as compressed.
    pub padding: usize,
}

pub(crate) fn file(name: &str, content: &[u8]) -> RawEntry {
    RawEntry {
        name: name.as_bytes().to_vec(),
        content: content.to_vec(),
        ..RawEntry::default()
    }
}

/// Lies about the whole file.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawZip {
    pub entries: Vec<RawEntry>,
    pub prefix: Vec<u8>,
    pub suffix: Vec<u8>,
    pub comment: Vec<u8>,
    pub count: Option<u16>,
    pub gap_before_end: usize,
}

impl RawZip {
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut out = self.prefix.clone();
        let mut directory = Vec::new();
        let mut offsets = Vec::new();
        for entry in &self.entries {
            let mut data = if entry.stored {
                entry.content.clone()
            } else {
                deflate(&entry.content)
            };
            data.resize(data.len() + entry.padding, 0);
            let size = u32::try_from(entry.content.len()).unwrap();
            let method = entry.method.unwrap_or(if entry.stored { 0 } else { 8 });
            let mut crc = Crc::new();
            crc.update(&entry.content);
            let crc = entry.crc.unwrap_or(crc.sum());
            let offset = match entry.alias {
                Some(earlier) => offsets[earlier],
                None => u32::try_from(out.len()).unwrap(),
            };
            offsets.push(offset);
            let sizes = |size: u32| {
                let mut fields = Vec::new();
                fields.extend_from_slice(&crc.to_le_bytes());
                fields.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
                fields.extend_from_slice(&size.to_le_bytes());
                fields
            };
            let claimed = entry.size.unwrap_or(size);
            if entry.alias.is_none() {
                let name = entry.local_name.as_ref().unwrap_or(&entry.name);
                out.extend_from_slice(b"PK\x03\x04\x14\0");
                out.extend_from_slice(&entry.flags.to_le_bytes());
                out.extend_from_slice(&method.to_le_bytes());
                out.extend_from_slice(&[0; 4]);
                out.extend(sizes(entry.local_size.unwrap_or(claimed)));
                out.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
                out.extend_from_slice(&[0; 2]);
                out.extend_from_slice(name);
                out.extend_from_slice(&data);
            }
            directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
            directory.extend_from_slice(&entry.flags.to_le_bytes());
            directory.extend_from_slice(&method.to_le_bytes());
            directory.extend_from_slice(&[0; 4]);
            directory.extend(sizes(claimed));
            directory.extend_from_slice(&u16::try_from(entry.name.len()).unwrap().to_le_bytes());
            directory.extend_from_slice(&[0; 8]);
            directory.extend_from_slice(&(entry.mode << 16).to_le_bytes());
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(&entry.name);
        }
        let directory_at = u32::try_from(out.len()).unwrap();
        let count = self.count.unwrap_or(u16::try_from(self.entries.len()).unwrap());
        let size = u32::try_from(directory.len()).unwrap();
        out.extend(directory);
        out.resize(out.len() + self.gap_before_end, 0);
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&directory_at.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&self.comment);
        out.extend_from_slice(&self.suffix);
        out
    }
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A zip of these files, manifest first as given.
pub(crate) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let entries = files
        .iter()
        .map(|(name, content)| file(name, content.as_bytes()))
        .collect();
    RawZip {
        entries,
        ..RawZip::default()
    }
    .build()
}
