//! One gateway as a child process.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Api, binary, report, wait};

/// How long a start may take. Generous: debug builds beside other test processes on two cores.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long an orderly end may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Log lines shown when a test fails.
const LOG_LINES: usize = 80;

/// What a gateway is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    env: Vec<(String, String)>,
}

impl Options {
    /// Sets a variable of the gateway's environment. Nothing is inherited from the test's own.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Tool mode: `approval`, `passthrough` or `delegated`.
    #[must_use]
    pub fn tool_mode(self, mode: &str) -> Self {
        self.env("ABSTRACTGATEWAY_TOOL_MODE", mode)
    }

    /// The OpenAI-compatible server that the provider without an address of its own leads to.
    #[must_use]
    pub fn upstream(self, base_url: &str) -> Self {
        self.env("OPENAI_BASE_URL", format!("{base_url}/v1"))
            .env("OPENAI_API_KEY", "sk-test")
    }
}

/// A running (or killed) gateway with its data directory. Killed on drop.
#[derive(Debug)]
pub struct Gateway {
    options: Options,
    home: TempDir,
    token: String,
    child: Option<Child>,
    base_url: String,
    starts: u32,
}

impl Gateway {
    /// Starts a gateway on a fresh data directory and waits until it accepts connections.
    ///
    /// # Errors
    /// The binary is missing, ends early or does not come up in time; the end of its log is in the text.
    pub async fn start(options: Options) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ag-e2e-").tempdir()?;
        std::fs::create_dir(home.path().join("flows"))?;
        let mut gateway = Self {
            options,
            home,
            token: format!("e2e-{}", uuid::Uuid::new_v4().simple()),
            child: None,
            base_url: String::new(),
            starts: 0,
        };
        gateway.spawn().await?;
        Ok(gateway)
    }

    /// Starts the process again on the same data directory, on another port; returns the time until it accepted
    /// connections.
    ///
    /// # Errors
    /// As [`Gateway::start`]; also when the process still runs.
    pub async fn restart(&mut self) -> Result<Duration> {
        ensure!(self.child.is_none(), "the gateway still runs");
        self.spawn().await
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the gateway does not run")?;
        child.start_kill()?;
        child.wait().await?;
        Ok(())
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub async fn terminate(&mut self) -> Result<std::process::ExitStatus> {
        let mut child = self.child.take().context("the gateway does not run")?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.context("the gateway has ended by itself")?, Signal::TERM)?;
        let ended = tokio::time::timeout(STOP_LIMIT, child.wait()).await;
        Ok(ended.context("the gateway does not end after SIGTERM")??)
    }

    /// A client with this gateway's token. Clients made before a restart keep the old address.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.base_url, &self.token)
    }

    /// Address without a path.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The shared token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Folder of installed bundles.
    #[must_use]
    pub fn flows_dir(&self) -> PathBuf {
        self.home.path().join("flows")
    }

    /// Runs a second process on the same data directory until it ends or comes up.
    ///
    /// # Errors
    /// It could not be started at all, or does neither in time.
    pub async fn second_process(&self) -> Result<SecondProcess> {
        let address = self.home.path().join("second-address");
        let log = self.home.path().join("second.log");
        let mut child = self.command(&address, &log)?.spawn()?;
        let end = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = child.try_wait()? {
                let output = std::fs::read_to_string(&log).unwrap_or_default();
                return Ok(SecondProcess::Refused { status, output });
            }
            if address.is_file() {
                child.kill().await?;
                return Ok(SecondProcess::Started);
            }
            if Instant::now() >= end {
                child.kill().await?;
                bail!("the second process neither ends nor serves");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn command(&self, address: &Path, log: &Path) -> Result<Command> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary::gateway()?);
        command
            .args(["serve", "--host", "127.0.0.1", "--port", "0", "--address-file"])
            .arg(address)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("ABSTRACTGATEWAY_DATA_DIR", self.data_dir())
            .env("ABSTRACTGATEWAY_FLOWS_DIR", self.flows_dir())
            .env("ABSTRACTGATEWAY_AUTH_TOKEN", &self.token)
            .env("ABSTRACTGATEWAY_LOG_LEVEL", "WARNING")
            .env("ABSTRACTGATEWAY_LOG_FORMAT", "text")
            .env("RUST_BACKTRACE", "1")
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true);
        if let Some(filter) = std::env::var_os("AG_E2E_LOG") {
            command.env("ABSTRACTGATEWAY_LOG_FILTER", filter);
        }
        Ok(command)
    }

    async fn spawn(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.starts += 1;
        let address = self.home.path().join(format!("address-{}", self.starts));
        let child = self.command(&address, &self.log_path())?.spawn()?;
        let child = self.child.insert(child);
        let found = wait::until_some("the gateway to accept connections", START_LIMIT, || {
            let ended = child.try_wait();
            let text = std::fs::read_to_string(&address).ok();
            async move {
                if let Some(status) = ended? {
                    bail!("the gateway ended with {status} before it accepted connections");
                }
                Ok(text.filter(|text| text.ends_with('\n')))
            }
        })
        .await;
        match found {
            Ok(text) => {
                text.trim().trim_end_matches('/').clone_into(&mut self.base_url);
                Ok(began.elapsed())
            }
            Err(error) => {
                self.child = None;
                Err(error.context(format!("log of the gateway:\n{}", self.log_tail())))
            }
        }
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("gateway.log")
    }

    /// The end of what all processes of this gateway have written.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report::note(&format!("log of the gateway:\n{}", self.log_tail()));
            if std::env::var_os("AG_E2E_KEEP").is_some() {
                self.home.disable_cleanup(true);
                report::note(&format!("kept: {}", self.home.path().display()));
            }
        }
    }
}

/// What became of a second process on a data directory in use.
#[derive(Debug)]
pub enum SecondProcess {
    /// It ended before it accepted connections.
    Refused {
        /// How.
        status: std::process::ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// It came up.
    Started,
}
