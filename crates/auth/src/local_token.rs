//! The token of a gateway that nobody configured: made once, kept in a file only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// A token file with less in it is damaged and is replaced.
const SHORTEST: usize = 15;

/// Why there is no local token.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} local token file {}", path.display())]
pub struct LocalTokenError {
    /// What was attempted.
    pub step: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// Reads `<data_dir>/auth/local-token`, or makes it with mode 0600.
///
/// Two processes that start at once agree: the file appears under its name complete or not at all, and who
/// comes second reads the other's.
pub fn local_token(data_dir: &Path) -> Result<SecretString, LocalTokenError> {
    let path = data_dir.join("auth").join("local-token");
    let failed = |step| {
        let path = path.clone();
        move |source| LocalTokenError { step, path, source }
    };
    if let Some(token) = read(&path).map_err(failed("read"))? {
        return Ok(token);
    }
    let dir = path.parent().unwrap_or(data_dir);
    create_private_dir(dir).map_err(failed("create the folder of"))?;
    let token = generate();
    let temporary = dir.join(format!(".local-token.{}", hex::encode(random::<8>())));
    let result = write_private(&temporary, token.expose_secret()).and_then(|()| publish(&temporary, &path));
    // Gone already after a rename; left behind otherwise.
    let _ = fs::remove_file(&temporary);
    match result {
        Ok(Published::Ours) => Ok(token),
        Ok(Published::Theirs) => read(&path).map_err(failed("read"))?.ok_or_else(|| {
            failed("read")(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file holds no token",
            ))
        }),
        Err(source) => Err(failed("write")(source)),
    }
}

enum Published {
    Ours,
    Theirs,
}

/// Gives the complete temporary file its name, unless another process was faster.
fn publish(temporary: &Path, path: &Path) -> io::Result<Published> {
    match fs::hard_link(temporary, path) {
        Ok(()) => Ok(Published::Ours),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if read(path)?.is_some() {
                return Ok(Published::Theirs);
            }
            fs::rename(temporary, path).map(|()| Published::Ours)
        }
        // Some network file systems have no hard links; a rename is complete as well, the last one wins.
        Err(_) => fs::rename(temporary, path).map(|()| Published::Ours),
    }
}

/// The token in the file; `None` if the file is absent or damaged. Wider permissions are taken back.
fn read(path: &Path) -> io::Result<Option<SecretString>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        Err(error) => return Err(error),
    };
    restrict(path)?;
    let token = text.trim();
    Ok((token.len() >= SHORTEST && !token.contains(char::is_whitespace)).then(|| SecretString::from(token)))
}

fn generate() -> SecretString {
    SecretString::from(format!("agw_{}", URL_SAFE_NO_PAD.encode(random::<32>())))
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

pub(crate) fn write_private(path: &Path, token: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(unix)]
pub(crate) fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir.join("auth")).expect("folder");
        entries
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn made_once_and_reused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let first = local_token(dir.path()).expect("made");
        assert_eq!(first.expose_secret().len(), 47);
        assert!(first.expose_secret().starts_with("agw_"));
        let second = local_token(dir.path()).expect("reused");
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert_eq!(files(dir.path()), ["local-token"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("auth/local-token");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        local_token(dir.path()).expect("made");
        assert_eq!((mode(&path), mode(&dir.path().join("auth"))), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("widen");
        local_token(dir.path()).expect("reused");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_operators_token_is_kept_and_a_damaged_one_replaced() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("auth/local-token");
        fs::create_dir_all(dir.path().join("auth")).expect("folder");
        fs::write(&path, "  an-operators-own-token\n").expect("write");
        assert_eq!(
            local_token(dir.path()).expect("read").expose_secret(),
            "an-operators-own-token"
        );
        for damaged in ["", "short", "two words in one file", "\u{0}"] {
            fs::write(&path, damaged).expect("write");
            let token = local_token(dir.path()).expect("replaced");
            assert!(token.expose_secret().starts_with("agw_"), "{damaged:?}");
            let text = fs::read_to_string(&path).expect("read");
            assert_eq!(text.trim_end(), token.expose_secret());
        }
        assert_eq!(files(dir.path()), ["local-token"]);
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let make = || local_token(dir.path()).expect("token").expose_secret().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(files(dir.path()), ["local-token"]);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("auth"), "a file").expect("write");
        let message = local_token(dir.path()).expect_err("no folder").to_string();
        assert!(
            message.contains("local token file") && message.contains("local-token"),
            "{message}"
        );
    }
}
