//! A scratch Postgres server, with one database per test, and how it goes down.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{SmallDisk, guard};

/// Where Debian installs servers, one folder per version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Prints the folder when the server is ready. The server lives as long as the input of this shell is open, which the
/// kernel closes when the test's process ends, however it ends; then the folder goes as well.
const SCRIPT: &str = r#"
set -eu
folder=$(mktemp -d "${TMPDIR:-/tmp}/ag-postgres.XXXXXX")
trap 'rm -rf "$folder"' EXIT
"$1/initdb" -D "$folder/data" -U postgres -A trust -N --locale=C --encoding=UTF8 >"$folder/initdb.log" 2>&1 ||
  { cat "$folder/initdb.log" >&2; exit 1; }
"$1/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 -o "-k $folder $4 \
  -c max_connections=300 -c shared_buffers=64MB -c synchronous_commit=$2 -c fsync=$3 -c full_page_writes=$3 \
  -c max_wal_size=2GB" start >"$folder/start.log" 2>&1 ||
  { cat "$folder/start.log" "$folder/server.log" >&2; exit 1; }
echo "$folder"
read -r _ || true
"$1/pg_ctl" -D "$folder/data" -m immediate -w -t 10 stop >/dev/null 2>&1 || true
"#;

/// What a commit that was answered survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing that ends the server: the fastest.
    #[default]
    None,
    /// The death of every process: what was written is with the kernel. Nothing waits for the disk, whose pauses (tens
    /// of seconds, where builds write beside the tests) would look like faults of the gateway.
    Crash,
    /// The loss of power, as in production: for measurements.
    PowerLoss,
}

impl Durability {
    /// Values of `synchronous_commit` and of `fsync`.
    fn settings(self) -> [&'static str; 2] {
        match self {
            Self::None => ["off", "off"],
            Self::Crash => ["on", "off"],
            Self::PowerLoss => ["on", "on"],
        }
    }
}

/// Another process may take the chosen port first.
const ATTEMPTS: usize = 5;

/// How a server goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Connections are ended, open transactions rolled back, everything is written.
    Fast,
    /// As in a crash: nothing is written, the next start recovers.
    Immediate,
}

impl StopMode {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// A server in a folder of its own, reached by a socket there or by TCP; stopped when dropped and when the test's
/// process ends.
#[derive(Debug)]
pub struct ScratchPostgres {
    shell: Child,
    folder: PathBuf,
    programs: PathBuf,
    port: Option<u16>,
    /// Where its folder lies, if that is no ordinary one.
    disk: Option<Arc<SmallDisk>>,
}

impl ScratchPostgres {
    /// The server of this test binary, started on first use. `None`, with a loud line, where Postgres is not
    /// installed. Blocks for about a second.
    ///
    /// # Panics
    /// If the server does not start, or is missing where `CI=true`.
    pub fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<ScratchPostgres>> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(Durability::None)).as_ref()
    }

    /// Starts a server.
    ///
    /// # Panics
    /// If the server does not start, or is missing where `CI=true`.
    pub fn start(durability: Durability) -> Option<Self> {
        let Some(programs) = programs() else {
            guard::missing("postgres");
            return None;
        };
        match Self::launch(programs, durability, None, None) {
            Ok(server) => Some(server),
            Err(reason) => panic!("postgres did not start: {reason}"),
        }
    }

    /// The same, reached by TCP on the loopback interface, so that something can stand between.
    ///
    /// # Panics
    /// As [`ScratchPostgres::start`].
    pub fn start_tcp(durability: Durability) -> Option<Self> {
        Self::start_tcp_on(durability, None)
    }

    /// The same, with all that it stores on a disk of its own.
    ///
    /// # Panics
    /// As [`ScratchPostgres::start`].
    pub fn start_tcp_on(durability: Durability, disk: Option<Arc<SmallDisk>>) -> Option<Self> {
        let Some(programs) = programs() else {
            guard::missing("postgres");
            return None;
        };
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match Self::launch(programs.clone(), durability, Some(guard::port()), disk.clone()) {
                Ok(server) => return Some(server),
                Err(reason) => last = reason,
            }
        }
        panic!("postgres did not start: {last}");
    }

    fn launch(
        programs: PathBuf,
        durability: Durability,
        port: Option<u16>,
        disk: Option<Arc<SmallDisk>>,
    ) -> Result<Self, String> {
        let mut command = as_server(disk.as_deref(), "sh");
        if let Some(disk) = &disk {
            command.env("TMPDIR", disk.path());
        }
        let listen = match port {
            Some(port) => format!("-c listen_addresses=127.0.0.1 -p {port}"),
            None => "-c listen_addresses=''".to_owned(),
        };
        let mut shell = command
            .args(["-c", SCRIPT, "sh"])
            .arg(&programs)
            .args(durability.settings())
            .arg(listen)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A runner of tests that kills the group of the test must not kill the shell that cleans up after it.
            .process_group(0)
            .current_dir("/")
            .spawn()
            .expect("a shell for the server");
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .expect("the folder of the server");
        }
        let folder = line.trim();
        if folder.is_empty() {
            let mut reason = String::new();
            if let Some(mut output) = shell.stderr.take() {
                // Whatever can be read explains more than nothing.
                let _ = output.read_to_string(&mut reason);
            }
            // The shell has ended already.
            let _ = shell.wait();
            return Err(reason);
        }
        Ok(Self {
            folder: folder.into(),
            shell,
            programs,
            port,
            disk,
        })
    }

    /// Address of a database of this server.
    pub fn url(&self, database: &str) -> String {
        match self.port {
            Some(port) => format!("postgres://postgres@127.0.0.1:{port}/{database}"),
            None => format!(
                "postgres://postgres@localhost/{database}?host={}",
                self.folder.display()
            ),
        }
    }

    /// Folder of the socket.
    pub(crate) fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// TCP port, the same over restarts; `None` where only the socket listens.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Process id of the server, for signals; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.outside(self.data().join("postmaster.pid"))).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Stops the server.
    ///
    /// # Panics
    /// If it does not stop.
    pub async fn stop(&mut self, mode: StopMode) {
        self.control(&["-m", mode.name(), "stop"]).await;
    }

    /// Stops the server if it runs and starts it with the same port, folder and settings; returns when it accepts
    /// connections.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self, mode: StopMode) {
        self.control(&["-m", mode.name(), "restart"]).await;
    }

    /// Runs `pg_ctl`, which waits for the end of what it does and remembers the server's settings.
    async fn control(&self, arguments: &[&str]) {
        let output =
            tokio::process::Command::from(as_server(self.disk.as_deref(), self.programs.join("pg_ctl")))
                .arg("-D")
                .arg(self.data())
                .arg("-l")
                .arg(self.folder.join("server.log"))
                .args(["-w", "-t", "60"])
                .args(arguments)
                .current_dir("/")
                .stdin(Stdio::null())
                // The started server keeps what it is given.
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .await
                .expect("pg_ctl");
        assert!(
            output.success(),
            "pg_ctl {arguments:?} failed: {}",
            self.log_tail()
        );
    }

    /// The end of the server's log.
    fn log_tail(&self) -> String {
        let text = std::fs::read(self.outside(self.folder.join("server.log"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// One of its files, for this process.
    fn outside(&self, path: PathBuf) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.outside(&path),
            None => path,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// An empty database; its name.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn database(&self) -> String {
        self.copy_of("template0").await
    }

    /// A copy of a database that nobody is connected to; its name.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn copy_of(&self, template: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("scratch_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut conn = self.connect("postgres").await;
        // Safe: names made here.
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"));
        sqlx::raw_sql(create)
            .execute(&mut conn)
            .await
            .expect("a scratch database");
        conn.close().await.expect("the end of a connection");
        name
    }

    /// A plain connection.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(database).parse().expect("an address");
        options.connect().await.expect("a connection")
    }
}

impl Drop for ScratchPostgres {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Ends as soon as the server is stopped.
        let _ = self.shell.wait();
    }
}

/// The programs of the newest installed version.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = std::fs::read_dir(VERSIONS).ok()?;
    folders
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists() && path.join("bin/pg_ctl").exists())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
}

/// A program as a user that the server accepts: it refuses to run as root. On a disk of its own, it starts inside.
fn as_server(disk: Option<&SmallDisk>, program: impl AsRef<OsStr>) -> Command {
    let mut words = disk.map(SmallDisk::enter).unwrap_or_default();
    if rustix::process::geteuid().is_root() {
        words
            .extend(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"].map(OsString::from));
    }
    words.push(program.as_ref().to_owned());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
