//! The scripted model server as a child process; its journal says which calls were really made.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Api, binary, wait};

/// A running fake model server. Killed on drop.
#[derive(Debug)]
pub struct FakeUpstream {
    home: TempDir,
    base_url: String,
    _child: Child,
}

/// One request that the server received.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    /// `chat`, `embeddings`, ...
    pub endpoint: String,
    /// The request.
    pub body: Value,
}

impl Call {
    /// Text of the last message of role user, whatever stands around it.
    #[must_use]
    pub fn last_user(&self) -> String {
        let messages = self.body["messages"].as_array();
        let last = messages.and_then(|all| all.iter().rev().find(|message| message["role"] == "user"));
        last.map(|message| message["content"].to_string())
            .unwrap_or_default()
    }
}

impl FakeUpstream {
    /// Starts the server on a free port.
    ///
    /// # Errors
    /// Python is missing, or the server does not come up.
    pub async fn start() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ag-upstream-").tempdir()?;
        let port_file = home.path().join("port");
        let mut child = Command::new("python3")
            .arg(binary::vectors().join("fake_upstream.py"))
            .args(["--port", "0", "--port-file"])
            .arg(&port_file)
            .arg("--log")
            .arg(home.path().join("journal.jsonl"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("python3 is needed for the fake upstream")?;
        let port = wait::until_some("the fake upstream", Duration::from_secs(20), || {
            let ended = child.try_wait();
            let port = std::fs::read_to_string(&port_file).ok();
            async move {
                if let Some(status) = ended? {
                    bail!("the fake upstream ended with {status}");
                }
                Ok(port)
            }
        })
        .await?;
        Ok(Self {
            base_url: format!("http://127.0.0.1:{}", port.trim()),
            home,
            _child: child,
        })
    }

    /// Address without a path.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Its port.
    ///
    /// # Errors
    /// The address has none.
    pub fn port(&self) -> Result<u16> {
        let port = self.base_url.rsplit(':').next().unwrap_or_default();
        port.parse().context("an address without a port")
    }

    /// Replaces the script and empties the journal held in memory (not the file).
    ///
    /// # Errors
    /// The server refuses the script.
    pub async fn script(&self, script: &Value) -> Result<()> {
        let reply = Api::new(&self.base_url, "").post("/_fake/script", script).await?;
        anyhow::ensure!(
            reply.status == 200,
            "the fake upstream refused the script: {}",
            reply.text
        );
        Ok(())
    }

    /// File of the journal.
    #[must_use]
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.home.path().join("journal.jsonl")
    }

    /// Every request since the server was started, in order of arrival.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn journal(&self) -> Result<Vec<Call>> {
        let path = self.journal_path();
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(path)?;
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).context("a line of the journal"))
            .collect()
    }
}
