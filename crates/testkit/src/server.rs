//! The life cycle that all scratch servers share.

use std::{ffi::OsString, fmt::Debug, path::Path, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::guard::{self, Guard, Launch};

/// Most time until a started server answers.
const READY: Duration = Duration::from_secs(15);
/// Most time for an orderly end.
const STOP: Duration = Duration::from_secs(10);
/// Another process may take the chosen port first.
const ATTEMPTS: usize = 5;

/// What differs between kinds of servers.
pub trait Kind: Debug + Default + Send {
    /// The program, found by `PATH`.
    const PROGRAM: &'static str;

    /// Its arguments; called before each start.
    fn arguments(&mut self, folder: &Path, port: u16) -> Vec<OsString>;

    /// Whether the process with this id answers on the port.
    fn ready(&self, port: u16, pid: u32) -> impl Future<Output = bool> + Send;
}

/// A server in a folder of its own; killed when dropped and when the test's process ends.
#[derive(Debug)]
pub struct ScratchServer<K> {
    kind: K,
    // Before the folder, which it uses to its end.
    process: Option<Guard>,
    folder: TempDir,
    port: u16,
}

impl<K: Kind> ScratchServer<K> {
    /// Starts a server. `None`, with a loud line, where it is not installed.
    ///
    /// # Panics
    /// If the server does not start, or is missing where `CI=true`.
    pub async fn start() -> Option<Self> {
        if !guard::installed(K::PROGRAM) {
            return None;
        }
        for _ in 0..ATTEMPTS {
            let mut scratch = Self {
                kind: K::default(),
                process: None,
                folder: tempfile::tempdir().expect("a temporary folder"),
                port: guard::port(),
            };
            if scratch.launch().await {
                return Some(scratch);
            }
        }
        panic!("{} did not start", K::PROGRAM);
    }

    /// The port, the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id, for signals; `None` while stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Kills the server at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Asks the server to end and waits for it; kills it if it does not.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take()
            && process.signal(Signal::TERM)
        {
            guard::until(STOP, || std::future::ready(!matches!(process.ended(), Ok(None)))).await;
        }
    }

    /// Kills the server if it runs and starts it again on the same port and folder.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.launch().await, "{} did not start again", K::PROGRAM);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn launch(&mut self) -> bool {
        let folder = self.folder.path();
        let process = Guard::start(Launch {
            program: K::PROGRAM.into(),
            arguments: self.kind.arguments(folder, self.port),
            env: Vec::new(),
            inherit: true,
            folder: folder.to_owned(),
            log: folder.join("server.log"),
        });
        let Ok(process) = process else {
            return false;
        };
        let pid = process.pid;
        self.process = Some(process);
        let ready = guard::until(READY, || self.kind.ready(self.port, pid)).await;
        if !ready {
            self.process = None;
        }
        ready
    }
}
