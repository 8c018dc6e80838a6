//! A scratch NATS server with JetStream.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::server::{Kind, ScratchServer};

/// What makes a [`ScratchServer`] one of NATS.
#[derive(Debug, Default)]
pub struct Nats {
    /// Of the running incarnation.
    name: String,
}

/// A NATS server with JetStream. What streams in files hold survives a restart.
pub type ScratchNats = ScratchServer<Nats>;

impl Kind for Nats {
    const PROGRAM: &'static str = "nats-server";

    fn arguments(&mut self, folder: &Path, port: u16) -> Vec<OsString> {
        self.name = format!("scratch-{}", rand::random::<u64>());
        let config = folder.join("server.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: \"{}\"\njetstream {{ store_dir: \"{}\", max_mem: 1G, max_file: 1G }}\n",
            self.name,
            store(folder).display(),
        );
        std::fs::write(&config, text).expect("the server's configuration");
        vec!["-c".into(), config.into()]
    }

    /// Whether the server of this name answers on the port: it is the first to speak.
    async fn ready(&self, port: u16, _pid: u32) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            return false;
        };
        let mut line = String::new();
        let read = BufReader::new(stream).read_line(&mut line).await;
        read.is_ok() && line.contains(&self.name)
    }
}

impl ScratchNats {
    /// Address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// Publishes a message and returns when the server has it.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn publish(&self, subject: &str, payload: &[u8]) {
        publish(self.port(), subject, payload)
            .await
            .expect("an answer of the server");
    }

    /// Removes a stream with its consumers.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn delete_stream(&self, stream: &str) {
        self.publish(&format!("$JS.API.STREAM.DELETE.{stream}"), b"")
            .await;
    }

    /// Removes all that the server has stored; to be called while it is stopped.
    ///
    /// # Panics
    /// If it runs, or the folder cannot be removed.
    pub fn wipe(&mut self) {
        assert!(self.pid().is_none(), "a running server still needs its folder");
        let store = store(self.folder());
        if store.exists() {
            std::fs::remove_dir_all(store).expect("the folder of the store");
        }
    }
}

fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// Speaks just enough of the protocol. The reply subject is there because requests without one are not served.
async fn publish(port: u16, subject: &str, payload: &[u8]) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let head = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nPUB {subject} _INBOX.scratch {}\r\n",
        payload.len()
    );
    let message = [head.as_bytes(), payload, b"\r\nPING\r\n"].concat();
    stream.write_all(&message).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        if line.starts_with("PONG") {
            return Ok(());
        }
        line.clear();
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
