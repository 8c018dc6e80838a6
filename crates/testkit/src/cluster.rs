//! A whole cluster of processes on this machine.

use std::{path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{
    Durability, Fault, FaultProxy, Node, NodeOptions, Role, ScratchNats, ScratchPostgres, ScratchRedis,
    SmallDisk, guard, node::METRICS_PORT,
};

const DATABASE: &str = "gateway";
/// How long bringing the schema up to date may take.
const MIGRATION: Duration = Duration::from_secs(60);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The gateway program, see [`Node::binary`].
    pub binary: PathBuf,
    /// Nodes that serve HTTP.
    pub api: usize,
    /// Runners of the default pool.
    pub runners: usize,
    /// Whether a fault proxy stands between each node and each server.
    pub proxied: bool,
    /// What an answered commit survives.
    pub durability: Durability,
    /// Where Postgres keeps its files, if that is no ordinary folder.
    pub disk: Option<Arc<SmallDisk>>,
    /// Variables of every node.
    pub env: Vec<(String, String)>,
    /// Whether each node has a listener for operators on a port of its own, see [`Node::metrics_port`].
    pub metrics: bool,
    /// Whether nodes also get the variables of this process.
    pub inherit: bool,
    /// Log filter of the nodes; by default warnings.
    pub log_filter: Option<String>,
}

impl ClusterOptions {
    /// Two API nodes and two runners, without proxies; nothing waits for the disk.
    #[must_use]
    pub fn new(binary: PathBuf) -> Self {
        Self {
            binary,
            api: 2,
            runners: 2,
            proxied: false,
            durability: Durability::None,
            disk: None,
            env: Vec::new(),
            metrics: false,
            inherit: false,
            log_filter: None,
        }
    }

    /// Sets a variable of every node.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// What nodes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The system of record.
    Postgres,
    /// The bell.
    Nats,
    /// The feed and shared counters.
    Redis,
}

impl Dependency {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Nats, Self::Redis];
}

/// The proxies of one node, in the order of [`Dependency::ALL`].
type Links = [FaultProxy; 3];

/// A running cluster. Everything ends when it is dropped and when this process ends.
#[derive(Debug)]
pub struct Cluster {
    /// Nodes that serve HTTP.
    pub api: Vec<Node>,
    /// Runners.
    pub runners: Vec<Node>,
    /// Of the API nodes, then of the runners; empty without proxies.
    links: Vec<Links>,
    /// The system of record.
    pub postgres: ScratchPostgres,
    /// The bell.
    pub nats: ScratchNats,
    /// The feed.
    pub redis: ScratchRedis,
    home: TempDir,
    token: String,
    options: ClusterOptions,
    /// API nodes and runners made so far, gone ones included: what they are named after.
    made: [usize; 2],
}

/// A transaction that looks at the database as it was; ends when dropped.
#[derive(Debug)]
pub struct Snapshot(PgConnection);

impl Snapshot {
    /// Lets go of it.
    ///
    /// # Errors
    /// The server has ended it before.
    pub async fn release(mut self) -> Result<()> {
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await?;
        Ok(self.0.close().await?)
    }
}

impl Cluster {
    /// Starts everything. `None`, with a loud line, where a server is not installed.
    ///
    /// # Errors
    /// A process does not come up; the end of its log is in the text.
    ///
    /// # Panics
    /// Where `CI=true` and a server is missing, or if one does not start.
    pub async fn start(options: ClusterOptions) -> Result<Option<Self>> {
        let (nats, redis) = tokio::join!(ScratchNats::start(), ScratchRedis::start());
        let (durability, disk) = (options.durability, options.disk.clone());
        let postgres = tokio::task::spawn_blocking(move || ScratchPostgres::start_tcp_on(durability, disk));
        let (Some(nats), Some(redis), Some(postgres)) = (nats, redis, postgres.await?) else {
            return Ok(None);
        };
        let home = tempfile::Builder::new().prefix("ag-cluster-").tempdir()?;
        std::fs::create_dir(home.path().join("flows"))?;
        let mut cluster = Self {
            api: Vec::new(),
            runners: Vec::new(),
            links: Vec::new(),
            postgres,
            nats,
            redis,
            home,
            token: format!("token-{:032x}", rand::random::<u128>()),
            options,
            made: [0; 2],
        };
        cluster.create_database().await?;
        cluster.migrate().await?;
        cluster.start_nodes().await?;
        Ok(Some(cluster))
    }

    /// Addresses of the API nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.api.iter().map(|node| node.base_url().to_owned()).collect()
    }

    /// Ports of the API nodes.
    #[must_use]
    pub fn api_ports(&self) -> Vec<u16> {
        self.api.iter().filter_map(Node::port).collect()
    }

    /// The shared token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Logs and data.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Address of the database, past all proxies.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// A connection to the database, past all proxies.
    ///
    /// # Errors
    /// The server refuses.
    async fn connect(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.database_url().parse()?;
        Ok(options.connect().await?)
    }

    /// The one number that a query finds.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn number(&self, query: &'static str) -> Result<i64> {
        let mut conn = self.connect().await?;
        Ok(sqlx::query_scalar(query).fetch_one(&mut conn).await?)
    }

    /// The texts that a query finds, in its first column.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn texts(&self, query: &'static str) -> Result<Vec<String>> {
        let mut conn = self.connect().await?;
        Ok(sqlx::query_scalar(query).fetch_all(&mut conn).await?)
    }

    /// Opens a transaction that goes on looking at the database as it is now.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn hold_snapshot(&self) -> Result<Snapshot> {
        let mut conn = self.connect().await?;
        // The first statement takes the snapshot; the time limits of the gateway's own connections are not for this one.
        let open = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
             BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM run_heads";
        sqlx::raw_sql(open).execute(&mut conn).await?;
        Ok(Snapshot(conn))
    }

    /// Starts one more node, the last one of its kind.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn add(&mut self, role: Role) -> Result<()> {
        let mut node = self.make(role).await?;
        let started = node.start().await;
        let nodes = match role {
            Role::Serve => &mut self.api,
            Role::Runner => &mut self.runners,
        };
        nodes.push(node);
        started.map(drop)
    }

    /// Asks the first node of a kind to leave, and forgets it.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub async fn retire(&mut self, role: Role) -> Result<ExitStatus> {
        let (nodes, links) = match role {
            Role::Serve => (&mut self.api, 0),
            Role::Runner => (&mut self.runners, self.api.len()),
        };
        ensure!(!nodes.is_empty(), "nobody is there to leave");
        let status = nodes[0].terminate().await?;
        nodes.remove(0);
        if !self.links.is_empty() {
            self.links.remove(links);
        }
        Ok(status)
    }

    /// Lets every node fare like this with a dependency.
    ///
    /// # Panics
    /// Without proxies.
    pub fn set_fault(&self, dependency: Dependency, fault: Fault) {
        assert!(!self.links.is_empty(), "a cluster without proxies has no faults");
        for links in &self.links {
            links[dependency as usize].set(fault);
        }
    }

    /// The proxy between an API node and a dependency.
    ///
    /// # Panics
    /// Without proxies or such a node.
    #[must_use]
    pub fn api_link(&self, node: usize, dependency: Dependency) -> &FaultProxy {
        &self.links[node][dependency as usize]
    }

    /// The proxy between a runner and a dependency.
    ///
    /// # Panics
    /// Without proxies or such a runner.
    #[must_use]
    pub fn runner_link(&self, runner: usize, dependency: Dependency) -> &FaultProxy {
        &self.links[self.api.len() + runner][dependency as usize]
    }

    /// Stops the nodes in good order, runners first.
    ///
    /// # Errors
    /// One does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        for nodes in [&mut self.runners, &mut self.api] {
            let ends = nodes.iter_mut().map(async |node| match node.is_running() {
                true => node.terminate().await.map(drop),
                false => Ok(()),
            });
            for end in futures::future::join_all(ends).await {
                end?;
            }
        }
        Ok(())
    }

    /// The ends of the nodes' logs.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let nodes = self.api.iter().chain(&self.runners);
        let tails = nodes.map(|node| format!("log of {}:\n{}", node.name(), node.log_tail()));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Keeps the folder for whoever looks for the reason of a failure.
    pub fn keep(&mut self) {
        self.home.disable_cleanup(true);
    }

    async fn create_database(&self) -> Result<()> {
        let mut conn = self.postgres.connect("postgres").await;
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"));
        sqlx::raw_sql(create)
            .execute(&mut conn)
            .await
            .context("the database")?;
        Ok(())
    }

    async fn migrate(&self) -> Result<()> {
        let mut options = self.node("migrate", Role::Serve, None);
        // Not a node: it ends by itself, and takes none of the arguments of one.
        options.arguments.clear();
        let output = tokio::process::Command::new(&options.binary);
        let status = tokio::time::timeout(MIGRATION, self.run_once(output, &options)).await;
        status.context("the migration takes too long")?
    }

    async fn run_once(&self, mut command: tokio::process::Command, options: &NodeOptions) -> Result<()> {
        if !options.inherit {
            command.env_clear();
        }
        let output = command
            .arg("migrate")
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&options.folder)
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "migrate ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    async fn start_nodes(&mut self) -> Result<()> {
        for _ in 0..self.options.api {
            let node = self.make(Role::Serve).await?;
            self.api.push(node);
        }
        for _ in 0..self.options.runners {
            let node = self.make(Role::Runner).await?;
            self.runners.push(node);
        }
        let nodes = self.api.iter_mut().chain(&mut self.runners);
        for started in futures::future::join_all(nodes.map(Node::start)).await {
            started?;
        }
        Ok(())
    }

    /// A node that is not started yet, with its proxies. The caller puts it at the end of its kind.
    async fn make(&mut self, role: Role) -> Result<Node> {
        let links = match self.options.proxied {
            true => Some(self.links().await?),
            false => None,
        };
        let (kind, made, place) = match role {
            Role::Serve => ("api", &mut self.made[0], self.api.len()),
            Role::Runner => ("runner", &mut self.made[1], self.api.len() + self.runners.len()),
        };
        *made += 1;
        let name = format!("{kind}-{made}");
        let node = Node::new(self.node(&name, role, links.as_ref()));
        if let Some(links) = links {
            self.links.insert(place, links);
        }
        Ok(node)
    }

    async fn links(&self) -> Result<Links> {
        let postgres = self.postgres.port().context("a server without TCP")?;
        Ok([
            FaultProxy::start(postgres).await?,
            FaultProxy::start(self.nats.port()).await?,
            FaultProxy::start(self.redis.port()).await?,
        ])
    }

    fn node(&self, name: &str, role: Role, links: Option<&Links>) -> NodeOptions {
        let [postgres, nats, redis] = match links {
            Some(links) => [
                format!("postgres://postgres@127.0.0.1:{}/{DATABASE}", links[0].port()),
                format!("nats://127.0.0.1:{}", links[1].port()),
                format!("redis://127.0.0.1:{}", links[2].port()),
            ],
            None => [self.database_url(), self.nats.url(), self.redis.url()],
        };
        let folder = self.home.path();
        let mut env = vec![
            ("ABSTRACTGATEWAY_STORE_BACKEND".to_owned(), "postgres".to_owned()),
            ("ABSTRACTGATEWAY_DATABASE_URL".to_owned(), postgres),
            ("ABSTRACTGATEWAY_NATS_URL".to_owned(), nats),
            ("ABSTRACTGATEWAY_REDIS_URL".to_owned(), redis),
            (
                "ABSTRACTGATEWAY_DATA_DIR".to_owned(),
                folder.join("data").display().to_string(),
            ),
            (
                "ABSTRACTGATEWAY_FLOWS_DIR".to_owned(),
                folder.join("flows").display().to_string(),
            ),
            ("ABSTRACTGATEWAY_AUTH_TOKEN".to_owned(), self.token.clone()),
        ];
        env.extend(self.options.env.iter().cloned());
        if self.options.metrics {
            env.push((METRICS_PORT.to_owned(), guard::port().to_string()));
        }
        let (port, arguments) = match role {
            Role::Serve => (guard::port(), vec!["--no-runner".to_owned()]),
            Role::Runner => (0, Vec::new()),
        };
        NodeOptions {
            binary: self.options.binary.clone(),
            role,
            name: name.to_owned(),
            folder: folder.to_owned(),
            port,
            arguments,
            env,
            inherit: self.options.inherit,
            log_filter: self.options.log_filter.clone(),
        }
    }
}
