//! Rules for entry names.
//!
//! Names are refused when any system on which the archive may later be unpacked would read them as
//! something else than a plain relative path: the archive is stored and handed out again unchanged.

use std::collections::HashSet;

use super::ArchiveError;

/// Longest name repeated in an error.
const SHOWN_CHARS: usize = 80;

/// Decodes and checks one raw name. The header's language flag is not asked: bytes that are not UTF-8 are
/// in a code page nobody knows.
pub(super) fn check(raw: &[u8], max_bytes: usize) -> Result<String, ArchiveError> {
    let refuse = |why| Err(unsafe_name(raw, why));
    if raw.is_empty() {
        return refuse("empty");
    }
    if raw.len() > max_bytes {
        return refuse("too long");
    }
    let Ok(name) = std::str::from_utf8(raw) else {
        return refuse("not UTF-8");
    };
    if name.contains('\0') {
        return refuse("NUL character");
    }
    if name.chars().any(char::is_control) {
        return refuse("control character");
    }
    if name.contains('\\') {
        return refuse("backslash");
    }
    if name.starts_with('/') {
        return refuse("absolute path");
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    for (depth, segment) in path.split('/').enumerate() {
        if depth == 0 && segment.contains(':') {
            return refuse("drive letter");
        }
        match segment {
            "" => return refuse("empty path segment"),
            "." | ".." => return refuse("relative path segment"),
            _ => {}
        }
        if segment.ends_with(['.', ' ']) {
            return refuse("path segment ends with a dot or a space");
        }
        if is_device(segment) {
            return refuse("device name");
        }
    }
    Ok(name.to_owned())
}

fn unsafe_name(raw: &[u8], why: &'static str) -> ArchiveError {
    // Four bytes per shown character are enough to decode that many.
    let head = raw.get(..SHOWN_CHARS * 4).unwrap_or(raw);
    ArchiveError::UnsafeName {
        name: String::from_utf8_lossy(head).chars().take(SHOWN_CHARS).collect(),
        why,
    }
}

/// Names that Windows resolves to a device in every directory, with any extension.
fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end();
    if ["con", "prn", "aux", "nul"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
    {
        return true;
    }
    match (stem.get(..3), stem.get(3..)) {
        (Some(head), Some(number)) => {
            (head.eq_ignore_ascii_case("com") || head.eq_ignore_ascii_case("lpt"))
                && number.len() == 1
                && number.bytes().all(|digit| digit.is_ascii_digit())
        }
        _ => false,
    }
}

/// Remembers names and finds collisions: equal, equal but for case, or a file used as a directory.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: HashSet<String>,
    dirs: HashSet<String>,
}

impl Seen {
    /// Adds a name that [`check`] accepted.
    pub(super) fn insert(&mut self, name: &str) -> Result<(), ArchiveError> {
        let folded = name.to_lowercase();
        let collision = || ArchiveError::Collision(name.to_owned());
        let (path, is_dir) = match folded.strip_suffix('/') {
            Some(path) => (path, true),
            None => (folded.as_str(), false),
        };
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if self.files.contains(parent) {
                return Err(collision());
            }
            if !self.dirs.contains(parent) {
                self.dirs.insert(parent.to_owned());
            }
        }
        if is_dir {
            // A directory may have been implied by an earlier entry; a second explicit one is harmless
            // but never written by a packer, and is caught by the exact-name check of the reader.
            if self.files.contains(path) {
                return Err(collision());
            }
            self.dirs.insert(path.to_owned());
            return Ok(());
        }
        if self.dirs.contains(path) || !self.files.insert(path.to_owned()) {
            return Err(collision());
        }
        Ok(())
    }
}
