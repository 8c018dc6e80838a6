//! How many rows a LanceDB folder holds: enough to say what is left behind. The rows themselves are not read; their
//! encodings are many and change with the version.
//!
//! A table `<name>.lance` has a manifest per version. It ends with the place of a length and a message, the two
//! numbers of its format and `LANC`; the message (Protocol Buffers) lists fragments with their rows and how many of
//! those are deleted.

use std::path::{Path, PathBuf};

use super::source;
use crate::ImportError;

const MAGIC: &[u8] = b"LANC";
/// Largest manifest that is looked into.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// Fields of the messages.
const FRAGMENTS: u64 = 2;
const DELETION_FILE: u64 = 3;
const PHYSICAL_ROWS: u64 = 4;
const DELETED_ROWS: u64 = 4;

/// Tables with their rows, where those can be counted. None if there is no such folder.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn tables(folder: &Path) -> Result<Vec<(String, Option<u64>)>, ImportError> {
    let mut found = Vec::new();
    for name in source::folders(folder)? {
        let Some(table) = name.strip_suffix(".lance") else {
            continue;
        };
        let rows = newest(&folder.join(&name).join("_versions"))?.and_then(|path| rows(&path));
        if rows != Some(0) {
            found.push((table.to_owned(), rows));
        }
    }
    Ok(found)
}

/// The manifest of the last version. Its name counts up, or, with twenty digits, down from the largest number.
fn newest(versions: &Path) -> Result<Option<PathBuf>, ImportError> {
    if !versions.is_dir() {
        return Ok(None);
    }
    let version = |path: &PathBuf| -> Option<u64> {
        let stem = path.file_stem()?.to_str()?;
        let number: u64 = stem.parse().ok()?;
        Some(if stem.len() == 20 {
            u64::MAX - number
        } else {
            number
        })
    };
    let manifests = source::files(versions, "manifest")?.into_iter();
    Ok(manifests
        .filter_map(|path| Some((version(&path)?, path)))
        .max()
        .map(|(_, path)| path))
}

fn rows(manifest: &Path) -> Option<u64> {
    if std::fs::metadata(manifest).ok()?.len() > MAX_MANIFEST {
        return None;
    }
    count(&std::fs::read(manifest).ok()?)
}

/// Rows of the fragments that are not deleted.
fn count(manifest: &[u8]) -> Option<u64> {
    let end = manifest.strip_suffix(MAGIC)?;
    let place = end.get(end.len().checked_sub(12)?..)?.get(..8)?;
    let place = usize::try_from(u64::from_le_bytes(place.try_into().ok()?)).ok()?;
    let length = manifest.get(place..)?.get(..4)?;
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let message = manifest.get(place..)?.get(4..)?.get(..length)?;
    let mut rows = 0u64;
    for fragment in (Fields { rest: message }).filter(|(field, _)| *field == FRAGMENTS) {
        let (mut stored, mut deleted) = (0, 0);
        for (field, value) in (Fields {
            rest: fragment.1.bytes()?,
        }) {
            match field {
                PHYSICAL_ROWS => stored = value.number()?,
                DELETION_FILE => {
                    let mut inner = Fields { rest: value.bytes()? };
                    deleted = match inner.find(|(field, _)| *field == DELETED_ROWS) {
                        Some((_, count)) => count.number()?,
                        None => 0,
                    };
                }
                _ => {}
            }
        }
        rows = rows.checked_add(stored.saturating_sub(deleted))?;
    }
    Some(rows)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bytes(_) => None,
        }
    }

    fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }
}

/// The fields of a message up to its end, or to where it is damaged.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for place in 0..10 {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows, and five of which one is deleted; other fields between.
    fn manifest() -> Vec<u8> {
        let fragment = |bytes: &[u8]| {
            let mut field = vec![0x12, u8::try_from(bytes.len()).expect("short")];
            field.extend(bytes);
            field
        };
        let mut message = vec![0x0a, 2, 0x12, 0];
        message.extend(fragment(&[0x12, 1, b'f', 0x20, 2]));
        message.extend(fragment(&[0x08, 1, 0x1a, 4, 0x10, 2, 0x20, 1, 0x20, 5]));
        message.extend([0x18, 3]);
        let mut file = b"before".to_vec();
        let place = file.len() as u64;
        file.extend(u32::try_from(message.len()).expect("short").to_le_bytes());
        file.extend(message);
        file.extend(place.to_le_bytes());
        file.extend([0, 0, 2, 0]);
        file.extend(MAGIC);
        file
    }

    #[test]
    fn rows_are_counted_without_the_deleted() {
        let whole = manifest();
        assert_eq!(count(&whole), Some(6));
        assert_eq!(count(b""), None);
        assert_eq!(count(MAGIC), None);
        // Damage makes the count wrong or absent, never a panic.
        for cut in 0..whole.len() {
            count(&whole[cut..]);
            let mut damaged = whole.clone();
            damaged[cut] ^= 0xff;
            count(&damaged);
        }
    }

    #[test]
    fn the_last_version_counts() {
        let folder = tempfile::tempdir().expect("folder");
        let versions = folder.path().join("t.lance/_versions");
        std::fs::create_dir_all(&versions).expect("made");
        for (name, bytes) in [
            ("18446744073709551614.manifest", b"old".to_vec()),
            ("18446744073709551613.manifest", manifest()),
        ] {
            std::fs::write(versions.join(name), bytes).expect("written");
        }
        std::fs::create_dir(folder.path().join("other")).expect("made");
        assert_eq!(tables(folder.path()).expect("read"), [("t".to_owned(), Some(6))]);
        std::fs::write(versions.join("18446744073709551612.manifest"), b"?").expect("written");
        assert_eq!(tables(folder.path()).expect("read"), [("t".to_owned(), None)]);
        assert_eq!(tables(&folder.path().join("absent")).expect("read"), []);
    }
}
