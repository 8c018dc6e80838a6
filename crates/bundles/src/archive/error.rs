//! Why an archive is refused.

use crate::status::ErrorStatus;

/// The first rule an archive breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// No trace of a zip. The text is the contract's.
    #[error("File is not a zip file")]
    NotAZip,
    /// Starts like a zip but has no end record; same text, because clients see the same thing.
    #[error("File is not a zip file")]
    Truncated,
    /// Bytes after the end record.
    #[error("archive has data after its end record")]
    TrailingData,
    /// Bytes before the first entry, or between the directory and the end record.
    #[error("archive has data outside its entries")]
    StrayData,
    /// Split over several files, or zip64.
    #[error("archive uses an unsupported zip feature: {0}")]
    Unsupported(&'static str),
    /// Headers contradict each other or point outside the file.
    #[error("archive directory is damaged: {0}")]
    Damaged(&'static str),
    /// More entries than allowed.
    #[error("archive has {count} entries (limit {max})")]
    TooManyEntries {
        /// As announced by the end record.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The declared sizes add up to too much.
    #[error("archive inflates to {size} bytes (limit {max})")]
    TooLarge {
        /// Sum of the declared sizes.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// One entry is too large.
    #[error("archive entry '{name}' inflates to {size} bytes (limit {max})")]
    EntryTooLarge {
        /// Path of the entry.
        name: String,
        /// Declared size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// Compressed beyond what flow documents and assets ever reach.
    #[error("archive is compressed {ratio}:1 (limit {max}:1)")]
    Ratio {
        /// Inflated size divided by compressed size.
        ratio: u64,
        /// The limit.
        max: u64,
    },
    /// A path that could leave the archive or mean another file on another system.
    #[error("archive entry name {name:?} is unsafe: {why}")]
    UnsafeName {
        /// The name, lossily decoded and shortened.
        name: String,
        /// The rule.
        why: &'static str,
    },
    /// The same path twice, also when only the case differs or one is a parent of the other.
    #[error("archive entry '{0}' collides with another entry")]
    Collision(String),
    /// A symbolic link, device, pipe or socket.
    #[error("archive entry '{0}' is not a regular file")]
    NotAFile(String),
    /// Encrypted entry or directory.
    #[error("archive entry '{0}' is encrypted")]
    Encrypted(String),
    /// Neither stored nor deflated.
    #[error("archive entry '{name}' uses unsupported compression method {method}")]
    Compression {
        /// Path of the entry.
        name: String,
        /// Number in the header.
        method: u16,
    },
    /// Two entries share bytes of the file.
    #[error("archive entries '{0}' and '{1}' overlap")]
    Overlap(String, String),
    /// More or fewer bytes came out than declared.
    #[error("archive entry '{0}' does not have its declared size")]
    LyingSize(String),
    /// Broken deflate stream or wrong checksum.
    #[error("archive entry '{0}' is damaged")]
    DamagedEntry(String),
}

impl ArchiveError {
    /// 413 for limits, 500 for what never was a zip (recorded behaviour), 400 for the rest.
    #[must_use]
    pub const fn status(&self) -> ErrorStatus {
        match self {
            Self::NotAZip => ErrorStatus::Internal,
            Self::TooManyEntries { .. }
            | Self::TooLarge { .. }
            | Self::EntryTooLarge { .. }
            | Self::Ratio { .. } => ErrorStatus::TooLarge,
            _ => ErrorStatus::BadRequest,
        }
    }
}
