//! Real paths of files that may not exist yet.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Links followed before a path counts as a cycle; Linux stops at 40 too.
const MAX_LINKS: usize = 40;

/// Absolute path without `.` and `..`, resolved by name only. `..` above the file system's root stays there.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Follows every link of an absolute path without `..`, including a link whose target is missing: a new file would be
/// created at that target, so the target is what must be judged.
///
/// # Errors
/// A cycle of links, or a directory that cannot be read.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut current = path.to_path_buf();
    let mut rest: Vec<std::ffi::OsString> = Vec::new();
    let mut links = 0;
    loop {
        match current.canonicalize() {
            Ok(mut real) => {
                real.extend(rest.iter().rev());
                return Ok(real);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                if let Ok(target) = current.read_link() {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(io::Error::other("too many symbolic links"));
                    }
                    let parent = current.parent().unwrap_or(Path::new("/"));
                    // The parent is real here or becomes so in the next round; `..` in a link target is relative to
                    // the parent's real place.
                    let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_path_buf());
                    current = absolute(&parent.join(target));
                    continue;
                }
                let Some(name) = current.file_name().map(ToOwned::to_owned) else {
                    return Err(error);
                };
                rest.push(name);
                current.pop();
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_even_when_their_target_is_missing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().canonicalize().expect("canonical");
        std::fs::create_dir(base.join("in")).expect("dir");
        symlink("/nowhere/new.txt", base.join("in/dangling")).expect("link");
        symlink("../out", base.join("in/up")).expect("link");
        symlink("b", base.join("a")).expect("link");
        symlink("a", base.join("b")).expect("link");
        let cases = [
            ("in/new/deep.txt", base.join("in/new/deep.txt")),
            ("in/dangling", PathBuf::from("/nowhere/new.txt")),
            ("in/dangling/x", PathBuf::from("/nowhere/new.txt/x")),
            ("in/up/file", base.join("out/file")),
        ];
        for (path, expected) in cases {
            assert_eq!(real_path(&base.join(path)).expect(path), expected, "{path}");
        }
        assert!(real_path(&base.join("a/x")).is_err());
    }

    #[test]
    fn dots_are_resolved_by_name() {
        assert_eq!(absolute(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(absolute(Path::new("/../../x")), Path::new("/x"));
    }
}
