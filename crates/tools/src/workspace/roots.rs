//! Roots: a workspace directory, named mounts beside it, and what is blocked below them.

use std::path::{Path, PathBuf};

use super::error::PathError;
use super::ignore::IgnoreRules;
use super::real::{absolute, real_path};

/// A directory that is reached as `<name>/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// First segment of virtual paths.
    pub name: String,
    /// Real absolute directory.
    pub path: PathBuf,
}

/// What paths may name.
#[derive(Clone, Debug)]
pub struct Roots {
    root: PathBuf,
    mounts: Vec<Mount>,
    blocked: Vec<PathBuf>,
    anywhere: bool,
}

impl Roots {
    /// `root` may not exist yet; it is made real as far as it does.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: settle(root),
            mounts: Vec::new(),
            blocked: Vec::new(),
            anywhere: false,
        }
    }

    /// Adds a mount; one that is the root, lies below it or bears a used name is left out.
    #[must_use]
    pub fn with_mount(mut self, name: &str, path: &Path) -> Self {
        let path = settle(path);
        if !path.starts_with(&self.root) && self.mounts.iter().all(|mount| mount.name != name) {
            self.mounts.push(Mount {
                name: name.to_owned(),
                path,
            });
        }
        self
    }

    /// Blocks a path and everything below it; a relative one is meant below the root.
    #[must_use]
    pub fn with_blocked(mut self, path: &Path) -> Self {
        let named = absolute(&self.root.join(path));
        let real = settle(&named);
        if real != named {
            self.blocked.push(named);
        }
        self.blocked.push(real);
        self
    }

    /// Lets absolute paths name any file that is not blocked.
    #[must_use]
    pub fn with_any_absolute(mut self) -> Self {
        self.anywhere = true;
        self
    }

    /// The real workspace directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The named directories beside it.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Real absolute path of what `raw` names: a path below the root, `<mount>/rest`, or an absolute path.
    ///
    /// A leading `@` and `./` are dropped, `\` counts as `/`, and a first segment that repeats the root's own name is
    /// dropped when no such child exists. Nothing is decoded: `%2e` is three characters of a name.
    ///
    /// # Errors
    /// [`PathError`] for an empty, escaping, outside or blocked path.
    pub fn resolve(&self, raw: &str) -> Result<PathBuf, PathError> {
        let trimmed = raw.trim();
        let mut given = trimmed.strip_prefix('@').unwrap_or(trimmed).replace('\\', "/");
        while let Some(rest) = given.strip_prefix("./") {
            given = rest.trim_start_matches('/').to_owned();
            if given.is_empty() {
                given = ".".to_owned();
            }
        }
        if given.is_empty() {
            return Err(PathError::Empty);
        }
        let shown = || trimmed.to_owned();
        if given.contains('\0') {
            return Err(PathError::Escapes { path: shown() });
        }
        if given.starts_with('/') {
            let real =
                real_path(&absolute(Path::new(&given))).map_err(|_| PathError::Outside { path: shown() })?;
            if !self.anywhere && self.home_of(&real).is_none() {
                return Err(PathError::Outside { path: shown() });
            }
            return self.unless_blocked(real, Path::new(&given), trimmed);
        }
        let (base, rest) = self.base_of(&given);
        let named = join_below(base, rest).ok_or_else(|| PathError::Escapes { path: shown() })?;
        let real = real_path(&named).map_err(|_| PathError::Escapes { path: shown() })?;
        if self.home_of(&real).is_none() {
            return Err(PathError::Escapes { path: shown() });
        }
        self.unless_blocked(real, &named, trimmed)
    }

    /// The path by which a client knows `path`: below the root, `<mount>/rest`, else absolute.
    #[must_use]
    pub fn virtual_path(&self, path: &Path) -> String {
        if let Ok(relative) = path.strip_prefix(&self.root) {
            return relative.to_string_lossy().into_owned();
        }
        match self.mount_of(path) {
            Some((mount, relative)) if relative.as_os_str().is_empty() => mount.name.clone(),
            Some((mount, relative)) => format!("{}/{}", mount.name, relative.to_string_lossy()),
            None => path.to_string_lossy().into_owned(),
        }
    }

    /// The mount that covers `path`.
    #[must_use]
    pub fn mount_name(&self, path: &Path) -> Option<&str> {
        self.mount_of(path).map(|(mount, _)| mount.name.as_str())
    }

    /// Ignore rules for `path` (resolved) and what lies below it.
    #[must_use]
    pub fn ignore_rules(&self, path: &Path) -> IgnoreRules {
        let start = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        };
        IgnoreRules::load(start, self.home_of(path).unwrap_or(start))
    }

    /// Refuses what the ignore rules name.
    ///
    /// # Errors
    /// [`PathError::Ignored`] with `shown` as the path.
    pub fn check_ignored(&self, path: &Path, shown: &str) -> Result<(), PathError> {
        if self.ignore_rules(path).is_ignored(path, path.is_dir()) {
            return Err(PathError::Ignored {
                path: shown.to_owned(),
            });
        }
        Ok(())
    }

    /// Whether a link found during a walk leads to something that may be read.
    #[must_use]
    pub fn allows_real(&self, path: &Path) -> bool {
        real_path(path)
            .is_ok_and(|real| (self.anywhere || self.home_of(&real).is_some()) && !self.is_blocked(&real))
    }

    /// Whether `path` lies below a blocked path.
    #[must_use]
    pub fn is_blocked(&self, path: &Path) -> bool {
        self.blocked.iter().any(|blocked| path.starts_with(blocked))
    }

    fn unless_blocked(&self, real: PathBuf, named: &Path, shown: &str) -> Result<PathBuf, PathError> {
        if self.is_blocked(&real) || self.is_blocked(&absolute(named)) {
            return Err(PathError::Blocked {
                path: shown.to_owned(),
            });
        }
        Ok(real)
    }

    /// The root or mount that covers a real path, the longest first.
    fn home_of(&self, real: &Path) -> Option<&Path> {
        if let Some((mount, _)) = self.mount_of(real) {
            return Some(&mount.path);
        }
        real.starts_with(&self.root).then_some(self.root.as_path())
    }

    fn mount_of<'p>(&self, path: &'p Path) -> Option<(&Mount, &'p Path)> {
        self.mounts
            .iter()
            .filter_map(|mount| path.strip_prefix(&mount.path).ok().map(|rest| (mount, rest)))
            .max_by_key(|(mount, _)| mount.path.as_os_str().len())
    }

    fn base_of<'a>(&'a self, given: &'a str) -> (&'a Path, &'a str) {
        let (first, rest) = given.split_once('/').unwrap_or((given, ""));
        if let Some(mount) = self.mounts.iter().find(|mount| mount.name == first) {
            return (&mount.path, rest);
        }
        let repeats_root = self.root.file_name().is_some_and(|name| name == first);
        if repeats_root && self.root.join(first).symlink_metadata().is_err() {
            return (&self.root, rest);
        }
        (&self.root, given)
    }
}

/// Real as far as it exists, by name otherwise. A relative path counts from the working directory: without its
/// leading part it would be an empty prefix, which every path begins with.
fn settle(path: &Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| Path::new("/nonexistent").join(path));
    let named = absolute(&full);
    real_path(&named).unwrap_or(named)
}

/// `base/relative` without dots; `None` when `..` would leave `base` at any moment.
fn join_below(base: &Path, relative: &str) -> Option<PathBuf> {
    let mut below: Vec<&str> = Vec::new();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                below.pop()?;
            }
            name => below.push(name),
        }
    }
    Some(base.join(below.join("/")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A relative root must not become an empty prefix, below which everything lies.
    #[test]
    fn a_relative_root_confines() {
        let roots = Roots::new(Path::new("."));
        assert!(roots.resolve("/etc/passwd").is_err());
        assert!(roots.resolve("Cargo.toml").is_ok());
    }

    struct Place {
        _dir: tempfile::TempDir,
        base: PathBuf,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().expect("tempdir");
        let base = dir.path().canonicalize().expect("canonical");
        for sub in ["ws/sub", "ws/private", "other", "secret"] {
            fs::create_dir_all(base.join(sub)).expect("dirs");
        }
        fs::write(base.join("secret/key"), "k").expect("write");
        symlink(base.join("secret"), base.join("ws/link")).expect("link");
        symlink(base.join("secret/new"), base.join("ws/dangling")).expect("link");
        symlink("sub", base.join("ws/inner")).expect("link");
        Place { _dir: dir, base }
    }

    fn roots(base: &Path) -> Roots {
        Roots::new(&base.join("ws"))
            .with_mount("other", &base.join("other"))
            .with_blocked(Path::new("private"))
    }

    #[test]
    fn paths_resolve_below_their_roots() {
        let place = place();
        let roots = roots(&place.base);
        let ws = place.base.join("ws");
        let cases = [
            ("a.txt", ws.join("a.txt")),
            (" @a.txt ", ws.join("a.txt")),
            ("./sub/../a.txt", ws.join("a.txt")),
            (".", ws.clone()),
            ("./", ws.clone()),
            ("ws/a.txt", ws.join("a.txt")),
            ("sub\\x", ws.join("sub/x")),
            ("inner/x", ws.join("sub/x")),
            ("other/x", place.base.join("other/x")),
            ("%2e%2e/x", ws.join("%2e%2e/x")),
        ];
        for (raw, expected) in cases {
            assert_eq!(roots.resolve(raw).as_ref(), Ok(&expected), "{raw}");
        }
        let absolute = ws.join("sub/../a.txt");
        assert_eq!(roots.resolve(&absolute.to_string_lossy()), Ok(ws.join("a.txt")));
        assert_eq!(roots.virtual_path(&ws.join("sub/x")), "sub/x");
        assert_eq!(roots.virtual_path(&place.base.join("other/x")), "other/x");
        assert_eq!(roots.virtual_path(&ws), "");
    }

    #[test]
    fn escapes_are_refused() {
        let place = place();
        let roots = roots(&place.base);
        let escapes = [
            "..",
            "../x",
            "sub/../../x",
            "sub/../../ws/a",
            "other/../../secret/key",
            "link/key",
            "dangling",
            "..\\x",
            "@../x",
            "a\0b",
            "link/../../secret/key",
        ];
        for raw in escapes {
            let expected = PathError::Escapes {
                path: raw.trim().to_owned(),
            };
            assert_eq!(roots.resolve(raw), Err(expected), "{raw:?}");
        }
        let secret = place.base.join("secret/key");
        let through = place.base.join("ws/link/key");
        for raw in [
            "/etc/hostname",
            "//etc/hostname",
            &secret.to_string_lossy(),
            &through.to_string_lossy(),
        ] {
            assert_eq!(
                roots.resolve(raw),
                Err(PathError::Outside { path: raw.to_owned() }),
                "{raw}"
            );
        }
        for raw in ["private", "private/x", "sub/../private/x"] {
            assert_eq!(
                roots.resolve(raw),
                Err(PathError::Blocked { path: raw.to_owned() }),
                "{raw}"
            );
        }
        for raw in ["", "  ", "@"] {
            assert_eq!(roots.resolve(raw), Err(PathError::Empty), "{raw:?}");
        }
        assert!(!roots.allows_real(&place.base.join("ws/link")));
        assert!(roots.allows_real(&place.base.join("ws/inner")));
    }

    #[test]
    fn any_absolute_path_is_open_but_blocked_ones_and_escapes_are_not() {
        let place = place();
        let roots = roots(&place.base)
            .with_any_absolute()
            .with_blocked(&place.base.join("secret"));
        assert!(roots.resolve("/etc").is_ok());
        assert!(matches!(roots.resolve("../x"), Err(PathError::Escapes { .. })));
        let secret = place.base.join("secret/key").to_string_lossy().into_owned();
        assert_eq!(
            roots.resolve(&secret),
            Err(PathError::Blocked { path: secret.clone() })
        );
    }
}
