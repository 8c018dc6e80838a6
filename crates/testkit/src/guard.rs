//! A child process that cannot outlive its test.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

/// Ports are taken from below the range of outgoing connections: a client that tries to reach a stopped server on a
/// port of that range can end up connected to itself.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 17_000;

/// The shell keeps the server as long as its own input is open, which the kernel closes when the test's process ends,
/// however it ends.
const WATCH: &str = r#""$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!; wait $!"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    /// Process id of the server itself.
    pub(crate) pid: u32,
}

impl Guard {
    pub(crate) fn start<I, S>(program: &str, arguments: I, folder: &Path) -> io::Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "sh", program])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("watch.log"))?)
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { shell, pid })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Ends as soon as the server is killed.
        let _ = self.shell.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of other processes choose at the same time.
    let start: u16 = rand::random_range(0..PORTS);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + start.wrapping_add(step) % PORTS;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether a program can be started. If not: a loud line, or a failure where `CI=true`.
///
/// # Panics
/// Where `CI=true` and the program is missing.
pub(crate) fn installed(program: &str) -> bool {
    let version = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if version.is_ok_and(|status| status.success()) {
        return true;
    }
    missing(program);
    false
}

/// A loud line, or a failure where `CI=true`.
///
/// # Panics
/// Where `CI=true`.
pub(crate) fn missing(program: &str) {
    assert!(
        !ci(),
        "{program} is not installed, and CI must not skip its tests"
    );
    shout(program);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test asks where it runs; there is no configuration to ask"
)]
fn ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn shout(program: &str) {
    eprintln!("SKIPPED: {program} is not installed; this test has checked nothing");
}

/// Asks again until the answer is yes; false after `limit`.
pub(crate) async fn until<F: Future<Output = bool>>(limit: Duration, mut ask: impl FnMut() -> F) -> bool {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, asking).await.is_ok()
}
