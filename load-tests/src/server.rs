//! The gateway under test as a child process in a folder of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    bundle,
    cli::Options,
    client::{Conn, Target},
    process, seed,
};

/// What the model server of the tests is shown.
pub(crate) const MODEL_KEY: &str = "sk-load";
const TOKEN: &str = "load-test-token-0123456789";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A gateway with its folder; killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    options: Options,
    home: TempDir,
    child: Option<Child>,
    address: String,
    starts: u32,
    env: Vec<(String, String)>,
    /// Command line put in front of the binary's.
    wrapper: Vec<String>,
}

impl Server {
    /// A folder; nothing runs yet.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ag-load-").tempdir()?;
        std::fs::create_dir(home.path().join("flows"))?;
        Ok(Self {
            options: options.clone(),
            home,
            child: None,
            address: String::new(),
            starts: 0,
            env: Vec::new(),
            wrapper: Vec::new(),
        })
    }

    /// A running gateway with the flows installed and, if wished, more environment.
    ///
    /// # Errors
    /// It does not come up or refuses the flows.
    pub(crate) async fn running(options: &Options, env: &[(&str, String)]) -> Result<Self> {
        let mut server = Self::new(options)?;
        server.env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        server.start().await?;
        bundle::install(&mut server.conn()).await?;
        Ok(server)
    }

    /// Runs the binary under another program from the next start on.
    pub(crate) fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&part| part.to_owned()).collect();
    }

    /// Starts the process; returns the time until it accepted connections.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        self.starts += 1;
        let address = self.home.path().join(format!("address-{}", self.starts));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("log"))?;
        // Absolute, because the process gets a folder of its own.
        let binary = &std::path::absolute(&self.options.binary)?;
        ensure!(
            binary.is_file(),
            "{} is missing: build it with `cargo build --release -p abstractgateway`, or name another with --binary",
            binary.display()
        );
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .args(["serve", "--host", "127.0.0.1", "--port", "0", "--address-file"])
            .arg(&address)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("ABSTRACTGATEWAY_DATA_DIR", self.data_dir())
            .env("ABSTRACTGATEWAY_FLOWS_DIR", self.home.path().join("flows"))
            .env("ABSTRACTGATEWAY_AUTH_TOKEN", TOKEN)
            .env("OPENAI_API_KEY", MODEL_KEY)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(self.options.more_env())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let began = Instant::now();
        let child = self.child.insert(command.spawn()?);
        loop {
            if let Ok(text) = std::fs::read_to_string(&address)
                && text.ends_with('\n')
            {
                let text = text.trim().trim_end_matches('/');
                text.strip_prefix("http://")
                    .unwrap_or(text)
                    .clone_into(&mut self.address);
                return Ok(began.elapsed());
            }
            if let Some(status) = child.try_wait()? {
                bail!("the gateway ended with {status}:\n{}", self.log());
            }
            ensure!(
                began.elapsed() < START_LIMIT,
                "the gateway does not come up:\n{}",
                self.log()
            );
            // Fine, because this is what W7 measures.
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    /// What the process has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the gateway does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends the process in order, so that the database is folded into one file.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the gateway does not run")?;
        for pid in descendants(child.id()) {
            kill_process(Pid::from_raw(i32::try_from(pid)?).context("a pid")?, Signal::TERM)?;
        }
        let end = Instant::now() + STOP_LIMIT;
        while child.try_wait()?.is_none() {
            if Instant::now() > end {
                child.kill()?;
                bail!("the gateway does not end after SIGTERM");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Where to call.
    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.address.as_str().into(),
            authorization: format!("Bearer {TOKEN}").into(),
        }
    }

    /// A fresh connection.
    pub(crate) fn conn(&self) -> Conn {
        Conn::new(&self.target())
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The process under test.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the gateway does not run")?.id())
    }

    /// Makes `count` copies of a run, straight in the file of the database; the process is started again.
    ///
    /// # Errors
    /// The process does not end or come up, or the file cannot be written.
    pub(crate) async fn multiply(&mut self, run: &str, count: usize) -> Result<()> {
        self.stop().await?;
        let (database, run) = (self.data_dir().join("gateway.sqlite3"), run.to_owned());
        tokio::task::spawn_blocking(move || seed::sqlite(&database, &run, count)).await??;
        self.start().await?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill9();
        }
    }
}

/// The process, or the ones it started: a tracer does not hand a signal on.
fn descendants(pid: u32) -> Vec<u32> {
    match process::children(pid) {
        none if none.is_empty() => vec![pid],
        children => children,
    }
}
