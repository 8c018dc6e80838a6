//! A disk of a few megabytes that can be full.
//!
//! It is a file system in memory, mounted in a mount namespace of its own: only programs that are started inside see
//! it, and it is gone with the last of them, however the test ends. Nothing has to be unmounted.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Mounts, says so and keeps the namespace until its input ends, which the kernel closes with the test's process.
const MOUNT: &str =
    r#"mount -t tmpfs -o "size=$1,mode=1777" tmpfs "$2" && echo mounted && exec cat >/dev/null"#;
/// What fills it.
const BALLAST: &str = "ballast";

/// A small disk.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    /// What is mounted upon: empty outside.
    folder: TempDir,
    root: bool,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes.
    ///
    /// # Errors
    /// Why this machine does not let it.
    pub fn mount(bytes: u64) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ag-disk-").tempdir()?;
        let root = rustix::process::geteuid().is_root();
        let mut unshare = Command::new("unshare");
        if !root {
            // Root in the namespace alone, under one's own name: Postgres does not run as root.
            unshare.args(["--map-current-user", "--keep-caps"]);
        }
        let mut keeper = unshare
            .args(["--mount", "sh", "-c", MOUNT, "sh"])
            .arg(bytes.to_string())
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.trim() != "mounted" {
            let mut reason = String::new();
            if let Some(mut output) = keeper.stderr.take() {
                // Whatever can be read explains more than nothing.
                let _ = output.read_to_string(&mut reason);
            }
            // It has ended already.
            let _ = keeper.wait();
            return Err(io::Error::other(reason.trim().to_owned()));
        }
        let disk = Self { keeper, folder, root };
        // Says at once where a machine mounts and does not let others in.
        disk.fill()?;
        disk.free()?;
        Ok(disk)
    }

    /// Where it is mounted, for programs that are started inside.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Begins the command line of a program that is started inside.
    #[must_use]
    pub fn enter(&self) -> Vec<OsString> {
        let mut enter: Vec<OsString> = vec!["nsenter".into(), "--mount".into()];
        if !self.root {
            enter.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        enter.extend([
            "--target".into(),
            self.keeper.id().to_string().into(),
            "--".into(),
        ]);
        enter
    }

    /// The same as a program of its own, which takes the arguments of `program`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn wrap(&self, program: &Path) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        // Beside the mount point, where both sides see it.
        let script = self.folder.path().with_extension("sh");
        let quoted = |text: &OsStr| format!("'{}'", text.to_string_lossy().replace('\'', r"'\''"));
        let words: Vec<String> = self
            .enter()
            .iter()
            .map(OsString::as_os_str)
            .chain([program.as_os_str()])
            .map(quoted)
            .collect();
        std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")))?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        Ok(script)
    }

    /// Fills it to the last byte; how many that took.
    ///
    /// # Errors
    /// It cannot be written at all.
    pub fn fill(&self) -> io::Result<u64> {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.outside(&self.path().join(BALLAST)))?;
        let block = vec![0; 64 * 1024];
        let mut written = 0;
        let mut size = block.len();
        // Small pieces at the end: the last free page counts.
        while size > 0 {
            match ballast.write(&block[..size]) {
                Ok(0) => size /= 2,
                Ok(n) => written += n as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Makes room again.
    ///
    /// # Errors
    /// The ballast cannot be removed.
    pub fn free(&self) -> io::Result<()> {
        std::fs::remove_file(self.outside(&self.path().join(BALLAST)))
    }

    /// A path of those inside, as it is reached from here.
    #[must_use]
    pub fn outside(&self, inside: &Path) -> PathBuf {
        let mut path = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        path.extend(inside.components().skip(1));
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Ends as soon as its input does.
        let _ = self.keeper.wait();
        // There may be none.
        let _ = std::fs::remove_file(self.folder.path().with_extension("sh"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_and_a_freed_one_does() {
        const SIZE: u64 = 1 << 20;
        // Where nothing can be mounted there is nothing to test; the scenarios say so.
        let Ok(disk) = SmallDisk::mount(SIZE) else { return };
        let inside = |script: &str| {
            let enter = disk.enter();
            let mut command = Command::new(&enter[0]);
            command.args(&enter[1..]).args(["sh", "-c", script]).arg("sh");
            command.arg(disk.path()).stderr(Stdio::null()).status()
        };
        assert!(inside("echo kept > $1/before").expect("sh").success());
        let written = disk.fill().expect("filled");
        assert!((SIZE / 2..=SIZE).contains(&written), "{written}");
        assert!(!inside("echo more > $1/more").expect("sh").success(), "full");
        assert!(inside("grep -q kept $1/before").expect("sh").success());
        disk.free().expect("freed");
        assert!(inside("echo more > $1/more").expect("sh").success(), "room");
        let seen_here = std::fs::read_dir(disk.path()).expect("the mount point").count();
        assert_eq!(seen_here, 0, "nobody else sees it");
    }
}
