//! A scratch PgBouncer in transaction mode before a scratch Postgres.

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    ScratchPostgres,
    guard::{self, Guard, Launch},
};

const PROGRAM: &str = "pgbouncer";
const READY: Duration = Duration::from_secs(15);
/// Another process may take the chosen port first.
const ATTEMPTS: usize = 5;

/// A pooler in a folder of its own; killed when dropped and when the test's process ends.
#[derive(Debug)]
pub struct ScratchPgBouncer {
    // Before the folder, which it uses to its end.
    _process: Guard,
    _folder: TempDir,
    port: u16,
}

impl ScratchPgBouncer {
    /// Starts a pooler with this many connections to each database, which switch between clients after each
    /// transaction.
    ///
    /// # Panics
    /// If it is not installed, everywhere, or does not start.
    pub async fn start(server: &ScratchPostgres, connections: u32) -> Self {
        assert!(
            version().is_some(),
            "pgbouncer is not installed: `apt-get install pgbouncer` (Debian), `brew install pgbouncer` (macOS)"
        );
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let port = guard::port();
            let process = Guard::start(Launch {
                program: PROGRAM.into(),
                arguments: arguments(folder.path(), server, port, connections),
                env: Vec::new(),
                inherit: true,
                folder: folder.path().to_owned(),
                log: folder.path().join("server.log"),
            })
            .expect("a shell for the pooler");
            let answers = || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() };
            if guard::until(READY, answers).await {
                return Self {
                    _process: process,
                    _folder: folder,
                    port,
                };
            }
        }
        panic!("pgbouncer did not start");
    }

    /// Address of a database behind the pooler.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Whether it can keep track of prepared statements (1.21 and newer).
    #[must_use]
    pub fn tracks_statements() -> bool {
        version().is_some_and(|version| version >= (1, 21))
    }
}

fn arguments(
    folder: &Path,
    server: &ScratchPostgres,
    port: u16,
    connections: u32,
) -> Vec<std::ffi::OsString> {
    let prepared = if ScratchPgBouncer::tracks_statements() {
        "max_prepared_statements = 200"
    } else {
        ""
    };
    let settings = format!(
        "[databases]\n* = host={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
         max_client_conn = 1000\nserver_idle_timeout = 5\n{prepared}\n",
        server.socket_folder().display()
    );
    let path = folder.join("pgbouncer.ini");
    std::fs::write(&path, settings).expect("the settings of the pooler");
    let mut arguments = Vec::new();
    if rustix::process::geteuid().is_root() {
        // It refuses to run as root, and gives that up after it has read its settings.
        arguments.extend(["-u".into(), "postgres".into()]);
    }
    arguments.push(path.into());
    arguments
}

/// `None` where it is not installed.
fn version() -> Option<(u32, u32)> {
    let output = Command::new(PROGRAM).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}
