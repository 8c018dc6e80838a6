//! Keys in a file that only its owner can read, made when the first secret is sealed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};

use super::{KeyRing, KeyRingError, SecretBox, SecretBoxError};
use crate::local_token::{create_private_dir, random, restrict, write_private};

/// A key file of one gateway. Whoever has it can read the stored secrets, whoever loses it cannot: it belongs into
/// the backup, and not beside that of the database.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    ring: RwLock<Option<KeyRing>>,
}

impl KeyFile {
    /// Reads the file; it may be absent.
    ///
    /// # Errors
    /// When it cannot be read or holds no keys.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let ring = RwLock::new(read(&path)?);
        Ok(Self { path, ring })
    }

    /// The ring, made with a fresh key if there was no file.
    fn create(&self) -> io::Result<()> {
        let mut ring = self.ring.write();
        if ring.is_none() {
            *ring = Some(match read(&self.path)? {
                Some(ring) => ring,
                None => publish(&self.path)?,
            });
        }
        Ok(())
    }
}

impl SecretBox for KeyFile {
    fn seal(&self, secret: &SecretString, context: &str) -> Result<String, SecretBoxError> {
        if self.ring.read().is_none()
            && let Err(error) = self.create()
        {
            tracing::error!(path = %self.path.display(), %error, "cannot make the file of encryption keys");
            return Err(SecretBoxError::KeyMissing);
        }
        let ring = self.ring.read();
        ring.as_ref()
            .ok_or(SecretBoxError::KeyMissing)?
            .seal(secret, context)
    }

    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SecretBoxError> {
        let ring = self.ring.read();
        ring.as_ref()
            .ok_or(SecretBoxError::KeyMissing)?
            .open(sealed, context)
    }

    fn is_current(&self, sealed: &str) -> bool {
        let ring = self.ring.read();
        ring.as_ref().is_some_and(|ring| ring.is_current(sealed))
    }
}

/// `None` if the file is absent. One that holds no keys is an error and never replaced: what it sealed would be lost.
fn read(path: &Path) -> io::Result<Option<KeyRing>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => SecretString::from(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    restrict(path)?;
    let invalid = |error: KeyRingError| io::Error::new(io::ErrorKind::InvalidData, error);
    KeyRing::parse(&text).map(Some).map_err(invalid)
}

/// Writes a fresh key. The file appears under its name complete or not at all, and of two processes one wins.
fn publish(path: &Path) -> io::Result<KeyRing> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_private_dir(dir)?;
    let temporary = dir.join(format!(".encryption-keys.{}", hex::encode(random::<8>())));
    let written = write_private(&temporary, KeyRing::generate().expose_secret());
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        // Some network file systems have no hard links.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => fs::rename(&temporary, path),
        linked => linked,
    });
    // Also after a failure; the key in it has sealed nothing.
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => fs::File::open(dir)?.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    read(path)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the file vanished"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_when_the_first_secret_is_sealed() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("auth/encryption-keys");
        let file = KeyFile::new(&path).expect("absent is fine");
        assert_eq!(
            file.open("v1.a.AAAA", "x").err(),
            Some(SecretBoxError::KeyMissing)
        );
        assert!(!path.exists());
        let sealed = file.seal(&"sk-1".into(), "x").expect("sealed");
        let again = KeyFile::new(&path).expect("readable");
        assert_eq!(again.open(&sealed, "x").expect("opened").expose_secret(), "sk-1");
        let names = fs::read_dir(path.parent().expect("folder"))
            .expect("folder")
            .count();
        assert_eq!(names, 1, "no temporary file is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&dir.path().join("auth"))), (0o600, 0o700));
        }
    }

    #[test]
    fn two_processes_agree() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("keys");
        let files: Vec<KeyFile> = (0..8).map(|_| KeyFile::new(&path).expect("absent")).collect();
        let sealed: Vec<String> = std::thread::scope(|scope| {
            let seals: Vec<_> = files
                .iter()
                .map(|file| scope.spawn(|| file.seal(&"sk".into(), "x").expect("sealed")))
                .collect();
            seals
                .into_iter()
                .map(|seal| seal.join().expect("no panic"))
                .collect()
        });
        for sealed in sealed {
            assert!(files[0].open(&sealed, "x").is_ok());
        }
    }

    #[test]
    fn a_damaged_file_is_never_replaced() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("keys");
        fs::write(&path, "canary").expect("written");
        let error = KeyFile::new(&path).expect_err("refused");
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("kept"), "canary");
    }
}
