//! The gateway under test as a child process in a folder of its own.

use std::{
    fs::File,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    cli::{self, Options},
    client::{Conn, Target},
    process,
};

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

    /// A running gateway with the flows installed.
    ///
    /// # Errors
    /// It does not come up or refuses the flows.
    pub(crate) async fn running(options: &Options) -> Result<Self> {
        Self::running_with(options, &[]).await
    }

    /// The same with more environment.
    ///
    /// # Errors
    /// As [`Server::running`].
    pub(crate) async fn running_with(options: &Options, env: &[(&str, String)]) -> Result<Self> {
        let mut server = Self::new(options)?;
        server.env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        server.start().await?;
        server.install().await?;
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
            .env("OPENAI_API_KEY", "sk-load")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(self.options.env.iter().filter_map(|pair| pair.split_once('=')))
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

    fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the gateway does not run")?.id())
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.pid()?)
    }

    /// Memory now.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn pss_mib(&self) -> Result<f64> {
        process::pss_mib(self.pid()?)
    }

    /// Uploads all flows as one bundle `load`.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub(crate) async fn install(&self) -> Result<()> {
        let boundary = "load-tests-boundary";
        let mut body = Vec::new();
        for (name, value) in [("overwrite", "true"), ("reload", "true")] {
            write!(
                body,
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )?;
        }
        write!(
            body,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"load@1.0.0.flow\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )?;
        body.extend(bundle()?);
        write!(body, "\r\n--{boundary}--\r\n")?;
        let kind = format!("multipart/form-data; boundary={boundary}");
        let mut conn = self.conn();
        let path = "/api/gateway/bundles/upload";
        let response = conn.send("POST", path, &kind, Bytes::from(body)).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        ensure!(
            status == 200 && answer["gateway_reloaded"] == true,
            "upload: {status} {text}"
        );
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
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let children: Vec<u32> = children
        .split_ascii_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect();
    if children.is_empty() { vec![pid] } else { children }
}

fn bundle() -> Result<Vec<u8>> {
    let mut flows: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in std::fs::read_dir(cli::flows())? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        flows.push((name, std::fs::read(&path)?));
    }
    flows.sort();
    let entries: Vec<_> = flows
        .iter()
        .map(|(id, _)| json!({"flow_id": id, "name": id, "description": "", "interfaces": []}))
        .collect();
    let paths: Map<_, _> = flows
        .iter()
        .map(|(id, _)| (id.clone(), json!(format!("flows/{id}.json"))))
        .collect();
    let manifest = json!({
        "bundle_format_version": "1", "bundle_id": "load", "bundle_version": "1.0.0",
        "created_at": "2024-01-01T00:00:00+00:00", "entrypoints": entries, "default_entrypoint": "answers3",
        "flows": paths, "artifacts": {}, "assets": {}, "metadata": {},
    });
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("manifest.json", SimpleFileOptions::default())?;
    zip.write_all(manifest.to_string().as_bytes())?;
    for (id, text) in &flows {
        zip.start_file(format!("flows/{id}.json"), SimpleFileOptions::default())?;
        zip.write_all(text)?;
    }
    Ok(zip.finish()?.into_inner())
}
