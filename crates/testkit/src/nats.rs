//! A scratch NATS server with JetStream.

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;
use tokio::{io::AsyncBufReadExt as _, net::TcpStream};

use crate::guard::{self, Guard};

const PROGRAM: &str = "nats-server";
/// Most time until a started server answers.
const READY: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 5;

/// A server in a folder of its own; killed when dropped and when the test's process ends.
#[derive(Debug)]
pub struct ScratchNats {
    folder: TempDir,
    port: u16,
    server: Option<Guard>,
}

impl ScratchNats {
    /// Starts a server. `None`, with a loud line, where it is not installed.
    ///
    /// # Panics
    /// If the server does not start, or is missing where `CI=true`.
    pub async fn start() -> Option<Self> {
        if !guard::installed(PROGRAM) {
            return None;
        }
        for _ in 0..ATTEMPTS {
            let mut scratch = Self {
                folder: tempfile::tempdir().expect("a temporary folder"),
                port: guard::port(),
                server: None,
            };
            if scratch.launch().await {
                return Some(scratch);
            }
        }
        panic!("{PROGRAM} did not start");
    }

    /// Address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Process id, for signals; `None` while killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.pid)
    }

    /// Kills the server at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Kills the server if it runs and starts it again on the same port, with what it had stored.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.launch().await, "{PROGRAM} did not start again");
    }

    /// Removes all that the server has stored; to be called while it is killed.
    ///
    /// # Panics
    /// If the folder cannot be removed.
    pub fn wipe(&mut self) {
        assert!(self.server.is_none(), "a running server still needs its folder");
        let store = self.store();
        if store.exists() {
            std::fs::remove_dir_all(store).expect("the folder of the store");
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    async fn launch(&mut self) -> bool {
        let name = format!("scratch-{}", rand::random::<u64>());
        let config = self.folder.path().join("server.conf");
        let text = format!(
            "listen: \"127.0.0.1:{}\"\nserver_name: \"{name}\"\njetstream {{ store_dir: \"{}\", max_mem: 1G, max_file: 1G }}\n",
            self.port,
            self.store().display(),
        );
        std::fs::write(&config, text).expect("the server's configuration");
        let arguments = ["-c".as_ref(), config.as_os_str()];
        let Ok(server) = Guard::start(PROGRAM, arguments, self.folder.path()) else {
            return false;
        };
        self.server = Some(server);
        let port = self.port;
        let ready = guard::until(READY, || greets(port, &name)).await;
        if !ready {
            self.server = None;
        }
        ready
    }
}

/// Whether the server of this name answers on the port: it is the first to speak.
async fn greets(port: u16, name: &str) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut line = String::new();
    let read = tokio::io::BufReader::new(stream).read_line(&mut line).await;
    read.is_ok() && line.contains(name)
}
