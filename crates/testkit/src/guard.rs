//! A child process that cannot outlive its test.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Ports are taken from below the range of outgoing connections: a client that tries to reach a stopped server on a
/// port of that range can end up connected to itself.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 17_000;

/// The inner shell kills the program when its own input ends, which the kernel closes when the test's process ends,
/// however it ends; the outer one passes the program's exit status on.
const WATCH: &str = r#"
log=$1
shift
ulimit -c 0
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
program=$!
echo $program
(read -r _ <&3; kill -9 $program) >/dev/null 2>&1 &
watcher=$!
exec 3<&- >&-
wait $program
status=$?
kill $watcher
exit $status
"#;

/// Signals as a shell reports them: its exit status is this plus the number.
const BY_SIGNAL: i32 = 128;

/// What to start, and where.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Variables of the program.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Whether it also gets those of this process.
    pub(crate) inherit: bool,
    pub(crate) folder: PathBuf,
    /// Output is appended here.
    pub(crate) log: PathBuf,
}

/// A running program. Killed when dropped and when the test's process ends.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    /// Process id of the program itself.
    pub(crate) pid: u32,
}

impl Guard {
    pub(crate) fn start(launch: Launch) -> io::Result<Self> {
        let mut command = Command::new("sh");
        if !launch.inherit {
            command.env_clear();
        }
        let mut shell = command
            .args(["-c", WATCH, "sh"])
            .arg(launch.log)
            .arg(launch.program)
            .args(launch.arguments)
            .envs(launch.env)
            .current_dir(launch.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Interrupts of a terminal and a test runner's signals to the group are for the test alone.
            .process_group(0)
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { shell, pid })
    }

    /// How the program ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?.map(as_program))
    }

    /// Sends a signal; false if the program has ended.
    pub(crate) fn signal(&mut self, signal: Signal) -> bool {
        // The shell has the program's id to itself until it was waited for.
        let alive = matches!(self.ended(), Ok(None));
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        alive && pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}

/// A shell turns "killed by signal n" into a number of its own.
fn as_program(status: ExitStatus) -> ExitStatus {
    match status.code() {
        Some(code) if code > BY_SIGNAL => ExitStatus::from_raw(code - BY_SIGNAL),
        _ => status,
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Ends as soon as the program is killed.
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
