//! The audit log on disk, with rotation.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::AuditRecord;

/// An append-only file of JSON lines. One process writes it.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    max_bytes: u64,
    keep: usize,
    now: fn() -> Timestamp,
    open: Option<File>,
}

impl AuditFile {
    /// Writes to `path`; rotates at `max_bytes` (0 = never) and keeps the newest `keep` rotated files (0 = all).
    /// `now` names rotated files. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, max_bytes: u64, keep: usize, now: fn() -> Timestamp) -> Self {
        Self {
            path: path.into(),
            max_bytes,
            keep,
            now,
            open: None,
        }
    }

    /// Appends records, each as one line, in few writes. Rotation happens before a line that finds the file full.
    ///
    /// On an error some of the lines may be in the file; the next call opens it anew.
    pub fn append(&mut self, records: &[AuditRecord]) -> io::Result<()> {
        let result = self.try_append(records);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_append(&mut self, records: &[AuditRecord]) -> io::Result<()> {
        let mut size = self.size_on_disk()?;
        let mut pending = Vec::new();
        for record in records {
            if self.max_bytes > 0 && size >= self.max_bytes {
                self.write(&mut pending)?;
                self.rotate()?;
                size = 0;
            }
            let line = record.to_line();
            size += line.len() as u64;
            pending.extend_from_slice(&line);
        }
        self.write(&mut pending)
    }

    /// The size of the file at the path; a file that somebody moved away is let go.
    fn size_on_disk(&mut self) -> io::Result<u64> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open = None;
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, pending: &mut Vec<u8>) -> io::Result<()> {
        if pending.is_empty() {
            return Ok(());
        }
        let file = match &mut self.open {
            Some(file) => file,
            None => self.open.insert(open(&self.path)?),
        };
        file.write_all(pending)?;
        pending.clear();
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        fs::rename(&self.path, self.rotated_path())?;
        if self.keep > 0 {
            // A file that cannot be removed now is removed next time.
            for old in self.rotated()?.iter().rev().skip(self.keep) {
                let _ = fs::remove_file(old);
            }
        }
        Ok(())
    }

    /// `audit_log.<YYYYMMDDTHHMMSS.ffffff+0000>.jsonl`, a microsecond later as often as it is taken.
    fn rotated_path(&self) -> PathBuf {
        let (stem, extension) = self.name_parts();
        let mut microsecond = (self.now)().as_microsecond();
        loop {
            let at = Timestamp::from_microsecond(microsecond).unwrap_or_default();
            let stamp = at.strftime("%Y%m%dT%H%M%S.%6f+0000");
            let path = self.path.with_file_name(format!("{stem}.{stamp}.{extension}"));
            if !path.exists() {
                return path;
            }
            microsecond += 1;
        }
    }

    /// Rotated files, oldest first: their names sort by time.
    fn rotated(&self) -> io::Result<Vec<PathBuf>> {
        let (stem, extension) = self.name_parts();
        let dir = self
            .path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let is_stamp = |stamp: &str| stamp.len() == 27 && stamp.ends_with("+0000");
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let stamp = name
                .strip_prefix(&format!("{stem}."))
                .and_then(|rest| rest.strip_suffix(&format!(".{extension}")));
            if stamp.is_some_and(is_stamp) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    fn name_parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>, default: &str| {
            part.map_or_else(|| default.to_owned(), |part| part.to_string_lossy().into_owned())
        };
        (
            text(self.path.file_stem(), "audit_log"),
            text(self.path.extension(), "jsonl"),
        )
    }
}

/// Opens for appending, readable by the owner only.
fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn at() -> Timestamp {
        "2026-11-20T11:31:03.585977Z".parse().expect("timestamp")
    }

    /// A clock that moves a millisecond with each look.
    fn ticking() -> Timestamp {
        static MILLISECOND: AtomicI64 = AtomicI64::new(0);
        Timestamp::from_millisecond(MILLISECOND.fetch_add(1, Ordering::Relaxed)).unwrap_or_default()
    }

    fn record(n: usize) -> AuditRecord {
        AuditRecord {
            request_id: format!("{n:04}"),
            ..AuditRecord::default()
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Request ids in a file, in order.
    fn ids(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).expect("read");
        let id = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).expect("one object per line");
            value["request_id"].as_str().unwrap_or_default().to_owned()
        };
        text.lines().map(id).collect()
    }

    #[test]
    fn appends_across_openings() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("sub/audit_log.jsonl");
        AuditFile::new(&path, 0, 10, at)
            .append(&[record(1), record(2)])
            .expect("append");
        AuditFile::new(&path, 0, 10, at)
            .append(&[record(3)])
            .expect("append");
        assert_eq!(ids(&path), ["0001", "0002", "0003"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).expect("metadata").permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn rotates_before_a_write_that_finds_it_full() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("audit_log.jsonl");
        let line = record(1).to_line().len() as u64;
        let mut file = AuditFile::new(&path, 2 * line, 10, at);
        file.append(&[record(1)]).expect("append");
        file.append(&[record(2)]).expect("append");
        assert_eq!(names(dir.path()), ["audit_log.jsonl"]);
        file.append(&[record(3), record(4), record(5)]).expect("append");
        assert_eq!(
            names(dir.path()),
            [
                "audit_log.20261120T113103.585977+0000.jsonl",
                "audit_log.20261120T113103.585978+0000.jsonl",
                "audit_log.jsonl"
            ]
        );
        assert_eq!(
            ids(&dir.path().join("audit_log.20261120T113103.585977+0000.jsonl")),
            ["0001", "0002"]
        );
        assert_eq!(
            ids(&dir.path().join("audit_log.20261120T113103.585978+0000.jsonl")),
            ["0003", "0004"]
        );
        assert_eq!(ids(&path), ["0005"]);
    }

    #[test]
    fn keeps_the_newest_and_touches_nothing_else() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("audit_log.jsonl");
        for other in [
            "audit_log.backup.jsonl",
            "other.20261120T113103.585977+0000.jsonl",
            "audit_log.txt",
        ] {
            fs::write(dir.path().join(other), "x").expect("write");
        }
        let mut file = AuditFile::new(&path, 1, 2, ticking);
        for n in 1..=6 {
            file.append(&[record(n)]).expect("append");
        }
        let rotated = file.rotated().expect("list");
        assert_eq!(
            rotated.iter().map(|path| ids(path)).collect::<Vec<_>>(),
            [["0004"], ["0005"]]
        );
        assert_eq!(names(dir.path()).len(), 3 + 2 + 1);

        let mut all = AuditFile::new(&path, 1, 0, ticking);
        for n in 7..=9 {
            all.append(&[record(n)]).expect("append");
        }
        assert_eq!(all.rotated().expect("list").len(), 5);
    }

    #[test]
    fn a_file_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("audit_log.jsonl");
        let mut file = AuditFile::new(&path, 0, 10, at);
        file.append(&[record(1)]).expect("append");
        fs::remove_file(&path).expect("remove");
        file.append(&[record(2)]).expect("append");
        assert_eq!(ids(&path), ["0002"]);
    }

    #[test]
    fn errors_pass() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("blocked"), "a file").expect("write");
        let mut file = AuditFile::new(dir.path().join("blocked/audit_log.jsonl"), 0, 10, at);
        assert!(file.append(&[record(1)]).is_err());
    }
}
