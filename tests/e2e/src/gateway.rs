//! One gateway as a child process.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use ag_testkit::{EndedEarly, Node, NodeOptions, Role};
use anyhow::{Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Api, report};

/// How long a second process may take to come up or to give up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What a gateway is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    env: Vec<(String, String)>,
    program: Option<PathBuf>,
}

impl Options {
    /// Sets a variable of the gateway's environment. Nothing is inherited from the test's own.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// A program that starts the gateway with its arguments and becomes it.
    #[must_use]
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
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

    pub(crate) fn into_env(self) -> Vec<(String, String)> {
        self.env
    }
}

/// A running (or killed) gateway with its data directory. Killed on drop.
#[derive(Debug)]
pub struct Gateway {
    // Before the folder, which it uses to its end.
    process: Node,
    options: Options,
    home: TempDir,
    token: String,
}

impl Gateway {
    /// Starts a gateway on a fresh data directory and waits until it accepts connections.
    ///
    /// # Errors
    /// The binary is missing, ends early or does not come up in time; the end of its log is in the text.
    pub async fn start(options: Options) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ag-e2e-").tempdir()?;
        std::fs::create_dir(home.path().join("flows"))?;
        let token = format!("e2e-{}", uuid::Uuid::new_v4().simple());
        let mut process = Node::new(node("gateway", &options, &home, &token)?);
        process.start().await?;
        Ok(Self {
            process,
            options,
            home,
            token,
        })
    }

    /// Starts the process again on the same data directory, on another port; returns the time until it accepted
    /// connections.
    ///
    /// # Errors
    /// As [`Gateway::start`]; also when the process still runs.
    pub async fn restart(&mut self) -> Result<Duration> {
        self.process.start().await
    }

    /// Sets a variable for the next starts, or takes it away again.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.process.set_env(name, value);
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        self.process.kill9().await
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate().await
    }

    /// Asks the process to end and does not wait; the second time it has to leave at once.
    ///
    /// # Errors
    /// It does not run.
    pub fn ask_to_end(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.ended(limit).await
    }

    /// A client with this gateway's token. Clients made before a restart keep the old address.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(self.base_url(), &self.token)
    }

    /// Address without a path.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.process.base_url()
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
        let mut second = Node::new(node("second", &self.options, &self.home, &self.token)?);
        let Err(failure) = second.start().await else {
            second.kill9().await?;
            return Ok(SecondProcess::Started);
        };
        match failure.downcast_ref::<EndedEarly>() {
            Some(ended) => Ok(SecondProcess::Refused {
                status: ended.status,
                output: second.log_tail(),
            }),
            None => bail!("the second process neither ends nor serves within {START_LIMIT:?}: {failure:#}"),
        }
    }

    /// A runner with the same settings, not started yet.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn runner(&self) -> Result<Node> {
        let mut options = node("runner", &self.options, &self.home, &self.token)?;
        options.role = Role::Runner;
        Ok(Node::new(options))
    }

    /// Everything that they have written.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.process.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what all processes of this gateway have written.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn node(name: &str, options: &Options, home: &TempDir, token: &str) -> Result<NodeOptions> {
    let folder = home.path();
    let own = [
        (
            "ABSTRACTGATEWAY_DATA_DIR",
            folder.join("data").display().to_string(),
        ),
        (
            "ABSTRACTGATEWAY_FLOWS_DIR",
            folder.join("flows").display().to_string(),
        ),
        ("ABSTRACTGATEWAY_AUTH_TOKEN", token.to_owned()),
    ];
    let mut env: Vec<_> = own.map(|(name, value)| (name.to_owned(), value)).into();
    env.extend(options.env.iter().cloned());
    let binary = match &options.program {
        Some(program) => program.clone(),
        None => Node::binary()?,
    };
    Ok(NodeOptions {
        binary,
        role: Role::Serve,
        name: name.to_owned(),
        folder: folder.to_owned(),
        port: 0,
        arguments: Vec::new(),
        env,
        inherit: false,
        log_filter: log_filter(),
    })
}

/// `AG_E2E_LOG`.
pub(crate) fn log_filter() -> Option<String> {
    std::env::var("AG_E2E_LOG").ok()
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
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// It came up.
    Started,
}
