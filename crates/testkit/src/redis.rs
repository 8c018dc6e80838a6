//! A scratch Redis server.

use std::{ffi::OsString, path::Path};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::server::{Kind, ScratchServer};

/// What makes a [`ScratchServer`] one of Redis.
#[derive(Debug, Default)]
pub struct Redis;

/// A Redis server that stores nothing: a restarted one is empty.
pub type ScratchRedis = ScratchServer<Redis>;

impl Kind for Redis {
    const PROGRAM: &'static str = "redis-server";

    fn arguments(&mut self, _folder: &Path, port: u16) -> Vec<OsString> {
        let port = port.to_string();
        [
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
        ]
        .map(OsString::from)
        .into()
    }

    async fn ready(&self, port: u16, pid: u32) -> bool {
        let mine = format!("process_id:{pid}\r");
        ask(port, "INFO server")
            .await
            .is_some_and(|info| info.contains(&mine))
    }
}

impl ScratchRedis {
    /// Address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Sends one command as it would be typed and returns the first bytes of the raw answer.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn command(&self, line: &str) -> String {
        ask(self.port(), line).await.expect("an answer of the server")
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
