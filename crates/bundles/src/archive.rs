//! Reading a zip from strangers.
//!
//! The reader is deliberately small and stricter than common zip tools: one end record, one central
//! directory that ends exactly where the end record begins, local headers that repeat what the
//! directory says, no bytes before the first entry or after the last, no two entries that share bytes.
//! A file that another tool would read differently is refused, not interpreted.
//!
//! Costs are decided before they are paid. The number of entries is taken from the end record and
//! checked before anything is allocated; declared sizes are summed and compared with their compressed
//! sizes before anything is inflated; inflating counts what comes out and stops one buffer after a
//! declared size was a lie.

mod directory;
mod error;
mod inflate;
mod limits;
mod names;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, ops::Range};

use bytes::Bytes;

pub use error::ArchiveError;
pub use limits::Limits;

/// How an entry's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Verbatim.
    Stored,
    /// Raw deflate stream.
    Deflated,
}

/// One entry of the central directory, already checked against its local header.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    method: Method,
    crc32: u32,
    size: u64,
    data: Range<usize>,
}

impl Entry {
    /// Path inside the archive, with `/` separators; directories end with `/`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Declared inflated size in bytes; what is read never exceeds it.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// True for a directory entry.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// An opened archive. Holding one means that its structure passed every check that needs no inflating.
#[derive(Clone, Debug)]
pub struct Archive {
    bytes: Bytes,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
}

impl Archive {
    /// Checks the structure of `bytes` and lists the entries.
    ///
    /// # Errors
    /// [`ArchiveError`] names the first rule that is broken.
    pub fn open(bytes: Bytes, limits: &Limits) -> Result<Self, ArchiveError> {
        let found = directory::read(&bytes, limits)?;
        let mut by_name = HashMap::with_capacity(found.len());
        for (position, entry) in found.iter().enumerate() {
            by_name.insert(entry.name.clone(), position);
        }
        Ok(Self {
            bytes,
            entries: found,
            by_name,
        })
    }

    /// All entries in directory order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file as it was given.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Inflates one entry, at most `max_bytes`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the entry is larger than `max_bytes`, or its bytes are not what the directory says.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(entry) = self
            .by_name
            .get(name)
            .and_then(|position| self.entries.get(*position))
        else {
            return Ok(None);
        };
        if entry.size > max_bytes {
            return Err(ArchiveError::EntryTooLarge {
                name: entry.name.clone(),
                size: entry.size,
                max: max_bytes,
            });
        }
        let mut out = Vec::with_capacity(usize::try_from(entry.size.min(1 << 20)).unwrap_or(0));
        inflate::extract(&self.bytes, entry, |chunk| out.extend_from_slice(chunk))?;
        Ok(Some(out))
    }

    /// Inflates every entry into nothing, so that a lie in a file nobody reads is found as well.
    /// Uses one fixed buffer; the time is bounded by [`Limits::max_total_bytes`].
    ///
    /// # Errors
    /// When an entry's bytes are not what the directory says.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        self.entries
            .iter()
            .try_for_each(|entry| inflate::extract(&self.bytes, entry, |_| ()))
    }
}
