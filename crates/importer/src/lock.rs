//! The lock file of a source: whoever writes to it holds it.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::ImportError;

/// Takes the lock for as long as the file is kept. Without a lock file nobody has ever written there.
///
/// # Errors
/// [`ImportError::SourceInUse`] naming the folder.
pub(crate) fn hold(folder: &Path, name: &str) -> Result<Option<File>, ImportError> {
    let path = folder.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ImportError::Read { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(ImportError::SourceInUse(folder.to_owned())),
        // A file system without locks: nobody can be asked.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
