//! Proof that a runner of this machine is gone (architecture D3).
//!
//! Each session has a file that its process keeps locked. The kernel releases the lock when the process ends, however
//! it ends, and never before: whoever obtains it knows that nobody works under that session any more. A process that
//! is merely frozen keeps its lock. Without the proof a dead session is found by its lease, some seconds later.
//!
//! Files lie in a folder per boot of the machine, because locks of other machines may not be seen on a shared disk.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ag_types::SessionId;

const EXTENSION: &str = "session";
/// Names a boot of a machine; the same in all its containers. Absent on other systems than Linux.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The sign of life of a session. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Instance {
    path: PathBuf,
    _locked: File,
}

impl Instance {
    /// Shows that `session` lives. `None` where that cannot be shown; then its lease has to.
    pub(crate) fn of(folder: &Path, session: SessionId) -> Option<Self> {
        let folder = here(folder)?;
        let path = folder.join(format!("{session}.{EXTENSION}"));
        let unnamed = path.with_extension("new");
        let locked = || -> io::Result<File> {
            fs::create_dir_all(&folder)?;
            let file = File::create(&unnamed)?;
            file.try_lock()?;
            // Under its name only when it is locked: an unlocked file is a dead session.
            fs::rename(&unnamed, &path)?;
            Ok(file)
        };
        match locked() {
            Ok(file) => Some(Self { path, _locked: file }),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "no proof of life: a crash is noticed by its lease");
                None
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A file that stays is found unlocked and removed by the next runner.
        let _ = fs::remove_file(&self.path);
    }
}

/// A session whose process is gone. Its lock is held, so that one runner at a time looks after it.
#[derive(Debug)]
pub(crate) struct Gone {
    session: SessionId,
    path: PathBuf,
    _locked: File,
}

impl Gone {
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// The session was ended.
    pub(crate) fn forget(self) {
        // It would be ended once more.
        let _ = fs::remove_file(&self.path);
    }
}

/// The sessions of this machine whose processes are gone.
pub(crate) fn gone(folder: &Path) -> Vec<Gone> {
    let files = here(folder).and_then(|folder| fs::read_dir(folder).ok());
    files
        .into_iter()
        .flatten()
        .filter_map(|entry| dead(entry.ok()?.path()))
        .collect()
}

fn dead(path: PathBuf) -> Option<Gone> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let session = i64::from_str_radix(path.file_stem()?.to_str()?, 16).ok()?;
    let file = File::options().write(true).open(&path).ok()?;
    file.try_lock().ok()?;
    Some(Gone {
        session: SessionId(session),
        path,
        _locked: file,
    })
}

/// The folder of this boot of this machine.
fn here(folder: &Path) -> Option<PathBuf> {
    let boot = fs::read_to_string(BOOT).ok()?;
    Some(folder.join(boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(folder: &Path) -> Vec<SessionId> {
        gone(folder).iter().map(Gone::session).collect()
    }

    #[test]
    fn only_unlocked_sessions_are_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        assert_eq!(sessions(folder), [], "nothing was ever here");
        let (one, two) = (SessionId(1), SessionId(i64::MAX));
        let first = Instance::of(folder, one);
        let second = Instance::of(folder, two).expect("a lock");
        assert!(first.is_some());
        assert_eq!(sessions(folder), [], "both live");
        // As the kernel does for a killed process: the lock goes, the file stays.
        let path = second.path.clone();
        drop(second);
        File::create(&path).expect("the file of a killed process");
        assert_eq!(sessions(folder), [two]);
        let found = gone(folder);
        assert_eq!(sessions(folder), [], "somebody looks after it");
        drop(found);
        assert_eq!(sessions(folder), [two], "and failed");
        for gone in gone(folder) {
            gone.forget();
        }
        assert_eq!(sessions(folder), []);
        assert!(!path.exists());
        drop(first);
        assert_eq!(
            sessions(folder),
            [],
            "a session that ended in order leaves nothing"
        );
    }
}
