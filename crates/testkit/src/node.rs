//! One gateway process.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::guard::{Guard, Launch};

/// How long a start may take. Generous: debug builds beside other test processes on two cores.
const START: Duration = Duration::from_secs(30);
/// How long an orderly end may take.
const STOP: Duration = Duration::from_secs(40);
/// Log lines shown when something fails.
const LOG_LINES: usize = 80;
/// What a runner writes when it begins to claim runs, and the log target of that line.
const RUNNER_READY: &str = "runner ready";
const RUNNER_READY_FILTER: &str = "abstractgateway::runner_cmd=info";
/// Variable that names the port of the listener for operators.
pub(crate) const METRICS_PORT: &str = "ABSTRACTGATEWAY_METRICS_PORT";

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `serve`, on the loopback interface.
    Serve,
    /// `runner`.
    Runner,
}

/// How a process is started.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The program, see [`Node::binary`].
    pub binary: PathBuf,
    /// What it does.
    pub role: Role,
    /// Names its files.
    pub name: String,
    /// Its files and working directory; exists.
    pub folder: PathBuf,
    /// Port of `serve`; 0 chooses a free one at each start.
    pub port: u16,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment, the later ones win.
    pub env: Vec<(String, String)>,
    /// Whether it also gets the variables of this process.
    pub inherit: bool,
    /// Log filter; by default warnings.
    pub log_filter: Option<String>,
}

/// A process ended before it was ready.
#[derive(Debug)]
pub struct EndedEarly {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ended with {} before it was ready", self.name, self.status)
    }
}

impl std::error::Error for EndedEarly {}

/// A process that can be killed, stopped and started again. Killed when dropped and when this process ends.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    process: Option<Guard>,
    base_url: String,
    starts: u32,
}

impl Node {
    /// The gateway program of the same build as the running one, or the one that `ABSTRACTGATEWAY_BIN` names. Test
    /// programs lie in `<target>/<profile>/deps`, others in `<target>/<profile>`, so this follows `CARGO_TARGET_DIR`,
    /// `--release` and archives of test programs alike.
    ///
    /// # Errors
    /// It was not built.
    #[expect(
        clippy::disallowed_methods,
        reason = "the variable is for tests; there is no configuration to ask"
    )]
    pub fn binary() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("ABSTRACTGATEWAY_BIN") {
            let path = PathBuf::from(path);
            ensure!(
                path.is_file(),
                "ABSTRACTGATEWAY_BIN names no file: {}",
                path.display()
            );
            return Ok(path);
        }
        let running = std::env::current_exe().context("path of the running program")?;
        let folder = running.parent().context("a program outside a folder")?;
        let profile = match folder.ends_with("deps") {
            true => folder
                .parent()
                .context("a test program outside a target folder")?,
            false => folder,
        };
        let binary = profile.join("abstractgateway");
        ensure!(
            binary.is_file(),
            "{} is missing: build it with `cargo build -p abstractgateway` (the same profile as the tests) before running them",
            binary.display()
        );
        Ok(binary)
    }

    /// A process that is not started yet.
    #[must_use]
    pub fn new(options: NodeOptions) -> Self {
        Self {
            options,
            process: None,
            base_url: String::new(),
            starts: 0,
        }
    }

    /// Starts the process and waits until it accepts connections or claims runs; the time that took.
    ///
    /// # Errors
    /// It runs already, ends early or does not come up in time; the end of its log is in the text.
    pub async fn start(&mut self) -> Result<Duration> {
        ensure!(!self.is_running(), "{} still runs", self.options.name);
        let began = Instant::now();
        self.starts += 1;
        let address = self.file(&format!("address-{}", self.starts));
        let log_begins = std::fs::metadata(self.log_path()).map_or(0, |log| log.len());
        self.process = Some(Guard::start(self.launch(&address))?);
        match self.until_ready(&address, log_begins).await {
            Ok(()) => Ok(began.elapsed()),
            Err(error) => {
                self.process = None;
                Err(error.context(format!("log of {}:\n{}", self.options.name, self.log_tail())))
            }
        }
    }

    /// Sets a variable for the next starts, or takes it away again.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.options.env.retain(|(known, _)| known != name);
        let set = value.map(|value| (name.to_owned(), value.to_owned()));
        self.options.env.extend(set);
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// It is not running, or does not end within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.options.name.clone();
        let process = self
            .process
            .as_mut()
            .with_context(|| format!("{name} does not run"))?;
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = process.ended()? {
                self.process = None;
                return Ok(status);
            }
            ensure!(Instant::now() < end, "{name} has not ended after {limit:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended(START).await.map(drop)
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended(STOP).await
    }

    /// Sends a signal: `STOP` and `CONT` make a process that does not notice how time passes.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let sent = self
            .process
            .as_mut()
            .is_some_and(|process| process.signal(signal));
        ensure!(sent, "{} does not run", self.options.name);
        Ok(())
    }

    /// Whether the process runs (or is stopped by a signal).
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Address of `serve` without a path; empty before the first start.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Port of `serve`; `None` before the first start.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.base_url.rsplit(':').next()?.parse().ok()
    }

    /// Port of the listener for operators, if it has one.
    #[must_use]
    pub fn metrics_port(&self) -> Option<u16> {
        let own = |(name, _): &&(String, String)| name == METRICS_PORT;
        let (_, port) = self.options.env.iter().rev().find(own)?;
        port.parse().ok()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Name in logs and files.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// What all its processes have written.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.file("log")
    }

    /// The end of that.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn launch(&self, address: &Path) -> Launch {
        let options = &self.options;
        let mut arguments: Vec<OsString> = match options.role {
            Role::Serve => {
                let port = options.port.to_string();
                let mut serve: Vec<OsString> =
                    ["serve", "--host", "127.0.0.1", "--port", &port, "--address-file"]
                        .map(OsString::from)
                        .into();
                serve.push(address.into());
                serve
            }
            Role::Runner => vec!["runner".into()],
        };
        arguments.extend(options.arguments.iter().map(OsString::from));
        let mut filter = options.log_filter.clone().unwrap_or_else(|| "warn".to_owned());
        if options.role == Role::Runner {
            filter = format!("{filter},{RUNNER_READY_FILTER}");
        }
        let own = [
            ("ABSTRACTGATEWAY_LOG_FILTER", filter.as_str()),
            ("ABSTRACTGATEWAY_LOG_FORMAT", "text"),
            ("RUST_BACKTRACE", "1"),
        ];
        let mut env: Vec<(OsString, OsString)> = own.map(|(name, value)| (name.into(), value.into())).into();
        if !options.inherit {
            env.push(("PATH".into(), search_path()));
            env.push(("HOME".into(), options.folder.clone().into()));
        }
        env.extend(
            options
                .env
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        Launch {
            program: options.binary.clone().into(),
            arguments,
            env,
            inherit: options.inherit,
            folder: options.folder.clone(),
            log: self.log_path(),
        }
    }

    async fn until_ready(&mut self, address: &Path, log_begins: u64) -> Result<()> {
        let end = Instant::now() + START;
        let mut pause = Duration::from_millis(2);
        loop {
            let process = self.process.as_mut().context("just started")?;
            if let Some(status) = process.ended()? {
                let name = self.options.name.clone();
                return Err(EndedEarly { name, status }.into());
            }
            if self.ready(address, log_begins) {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "{} is not ready after {START:?}",
                self.options.name
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn ready(&mut self, address: &Path, log_begins: u64) -> bool {
        match self.options.role {
            Role::Serve => {
                let text = std::fs::read_to_string(address).unwrap_or_default();
                let whole = text.ends_with('\n');
                if whole {
                    text.trim().trim_end_matches('/').clone_into(&mut self.base_url);
                }
                whole
            }
            Role::Runner => {
                let log = std::fs::read(self.log_path()).unwrap_or_default();
                let new =
                    usize::try_from(log_begins).map_or(&[][..], |begin| log.get(begin..).unwrap_or_default());
                String::from_utf8_lossy(new).contains(RUNNER_READY)
            }
        }
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.options.folder.join(format!("{}.{kind}", self.options.name))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a child of a test needs the programs that the test has"
)]
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
