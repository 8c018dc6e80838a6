//! A scratch Redis server.

use std::time::Duration;

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::guard::{self, Guard};

const PROGRAM: &str = "redis-server";
/// Most time until a started server answers.
const READY: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 5;

/// A server in a folder of its own that stores nothing; killed when dropped and when the test's process ends.
#[derive(Debug)]
pub struct ScratchRedis {
    folder: TempDir,
    port: u16,
    server: Option<Guard>,
}

impl ScratchRedis {
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
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Process id, for signals; `None` while killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.pid)
    }

    /// Kills the server at once, as `kill -9` does. It forgets everything.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Kills the server if it runs and starts an empty one on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.launch().await, "{PROGRAM} did not start again");
    }

    /// Sends one command as it would be typed and returns the first bytes of the raw answer.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn command(&self, line: &str) -> String {
        ask(self.port, line).await.expect("an answer of the server")
    }

    async fn launch(&mut self) -> bool {
        let port = self.port.to_string();
        let arguments = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ];
        let Ok(server) = Guard::start(PROGRAM, arguments, self.folder.path()) else {
            return false;
        };
        let mine = format!("process_id:{}\r", server.pid);
        self.server = Some(server);
        let port = self.port;
        let answers = async || {
            ask(port, "INFO server")
                .await
                .is_some_and(|info| info.contains(&mine))
        };
        let ready = guard::until(READY, answers).await;
        if !ready {
            self.server = None;
        }
        ready
    }
}

async fn ask(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    let mut answer = vec![0; 64 * 1024];
    let n = stream.read(&mut answer).await.ok()?;
    answer.truncate(n);
    String::from_utf8(answer).ok()
}
