//! An embedded gateway without HTTP: SQLite in a scratch directory, one runner.

mod doubles;
pub(crate) mod faults;
pub(crate) mod flow;
pub(crate) mod model;
pub(crate) mod tools;

use std::{sync::Arc, time::Duration};

use ag_artifacts::{BlobStore, MemoryBlobs};
use ag_bundles::{Limits, Package};
use ag_effects::{EffectRegistry, Host, Tools, memory};
use ag_engine::{
    Deps, LocalRunner, ModelDefaults, RunSettings, StartRequest, Starter, TickLimits, Workflows,
    commands::{CommandError, CommandReceipt, CommandRequest},
    handlers,
    workflows::BundleRecord,
};
use ag_kernel::Workflow;
use ag_messaging::{
    Bell,
    local::{LocalBell, LocalFeed},
};
use ag_runner::{Company, LocalSlots, Runner, RunnerOptions};
use ag_store::{CommandRow, Document, DocumentKind, PutMode, RunRow, Store, StoreError};
use ag_store_sqlite::{SqliteOptions, SqliteStore};
use ag_types::{Clock, EffectKind, Object, RunId, SystemClock, SystemIds, TenantScope};
use ag_visualflow::NodeCatalogue;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use doubles::{Defaults, NoCatalogue, NoHost, NoTools, memory_parts};

/// Longest wait for a condition.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a test changes about the gateway.
#[derive(Default)]
pub(crate) struct Setup {
    /// Stands between the engine and SQLite.
    pub(crate) faults: Option<Arc<faults::Faults>>,
    /// Answers `llm_call`.
    pub(crate) model: Option<Arc<model::Model>>,
    /// Asks for approval of every tool batch and runs approved ones.
    pub(crate) tools: Option<Arc<tools::FakeTools>>,
    /// Workflows that are code.
    pub(crate) natives: Vec<(&'static str, Arc<dyn Workflow>)>,
    pub(crate) runner: RunnerOptions,
    /// Instead of one that answers nothing.
    pub(crate) host: Option<Arc<dyn Host>>,
    /// Instead of a bell of its own.
    pub(crate) bell: Option<Arc<dyn Bell>>,
    /// Node types that the runner knows; those who start runs know all.
    pub(crate) runner_catalogue: Option<Arc<dyn NodeCatalogue>>,
}

/// A running embedded gateway.
pub(crate) struct Embedded {
    pub(crate) deps: Arc<Deps>,
    pub(crate) starter: Arc<Starter>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) scope: TenantScope,
    store: Option<Arc<SqliteStore>>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    commands: std::sync::atomic::AtomicU64,
}

impl Embedded {
    pub(crate) async fn start(dir: &std::path::Path, blobs: Arc<MemoryBlobs>) -> Self {
        let sqlite = SqliteStore::open(SqliteOptions::new(dir))
            .await
            .expect("open store");
        Self::over(sqlite, blobs, Setup::default())
            .await
            .expect("open session")
    }

    /// A gateway over an open store.
    pub(crate) async fn over(
        sqlite: Arc<SqliteStore>,
        blobs: Arc<MemoryBlobs>,
        mut setup: Setup,
    ) -> Result<Self, StoreError> {
        let store: Arc<dyn Store> = match setup.faults.take() {
            Some(faults) => Arc::new(faults::FaultyStore::new(sqlite.clone(), faults)),
            None => sqlite.clone(),
        };
        let gateway = Self::on(store, Arc::new(SystemClock), blobs, setup).await?;
        Ok(Self {
            store: Some(sqlite),
            ..gateway
        })
    }

    /// A gateway over any store and clock. Only a runner that is alone takes the first ticks of starts.
    pub(crate) async fn on(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        blobs: Arc<MemoryBlobs>,
        setup: Setup,
    ) -> Result<Self, StoreError> {
        let blobs: Arc<dyn BlobStore> = blobs;
        let defaults: Arc<dyn ModelDefaults> = Arc::new(Defaults);
        let effects = EffectRegistry::default()
            .with(
                EffectKind::StartSubworkflow,
                Arc::new(handlers::StartSubworkflow::new(defaults.clone())),
            )
            .with(EffectKind::EmitEvent, Arc::new(handlers::EmitEvent))
            .with(EffectKind::VarsQuery, Arc::new(handlers::VarsQuery));
        let effects = memory::register(effects, memory_parts(&store));
        let effects = match setup.model {
            Some(model) => effects.with(EffectKind::LlmCall, model),
            None => effects,
        };
        let (effects, tools): (_, Arc<dyn Tools>) = match setup.tools {
            Some(tools) => (effects.with(EffectKind::ToolCalls, tools.clone()), tools),
            None => (effects, Arc::new(NoTools)),
        };
        let workflows = |catalogue: Arc<dyn NodeCatalogue>| {
            let workflows = Workflows::new(
                store.clone(),
                blobs.clone(),
                catalogue,
                Arc::new(ag_agents::ReactAgent),
                Limits::default(),
            );
            let natives = setup.natives.iter().cloned();
            natives.fold(workflows, |workflows, (id, native)| {
                workflows.with_native(id, native)
            })
        };
        let known = workflows(Arc::new(ag_nodes::Registry));
        let runners = setup.runner_catalogue.map(workflows);
        let deps = Arc::new(Deps {
            store: store.clone(),
            blobs: blobs.clone(),
            bell: setup.bell.unwrap_or_else(|| Arc::new(LocalBell::default())),
            feed: Arc::new(LocalFeed::default()),
            effects,
            tools,
            host: setup.host.unwrap_or_else(|| Arc::new(NoHost)),
            workflows: Arc::new(known),
            catalogue: Arc::new(NoCatalogue),
            clock,
            ids: Arc::new(SystemIds),
            // How busy the machine is must not decide what a test sees.
            limits: TickLimits {
                first_time: Duration::from_secs(10),
                ..TickLimits::default()
            },
            zone: jiff::tz::TimeZone::UTC,
            locale: "en_US".to_owned(),
        });
        let alone = setup.runner.company == Company::Alone;
        let runner_deps = match runners {
            Some(workflows) => Arc::new(Deps {
                workflows: Arc::new(workflows),
                ..(*deps).clone()
            }),
            None => deps.clone(),
        };
        let runner = Runner::new(runner_deps, setup.runner);
        runner.open().await?;
        let local = alone.then(|| Arc::new(LocalSlots(runner.clone())) as Arc<dyn LocalRunner>);
        let starter = Arc::new(Starter::new(
            deps.clone(),
            defaults,
            RunSettings::default(),
            local,
        ));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (runner, shutdown) = (runner.clone(), shutdown.clone());
            async move { runner.run(shutdown).await }
        });
        Ok(Self {
            deps,
            starter,
            runner,
            scope: TenantScope::root(),
            store: None,
            shutdown,
            task,
            commands: 0.into(),
        })
    }

    /// A further runner over the same store, which knows all node types.
    pub(crate) async fn join(&self, options: RunnerOptions) -> Joined {
        let runner = Runner::new(self.deps.clone(), options);
        runner.open().await.expect("session");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { runner.run(shutdown).await }
        });
        Joined { shutdown, task }
    }

    /// Installs flows as one bundle `b@1.0.0`; the first is the entry.
    pub(crate) async fn install(&self, flows: &[(&str, Value)]) {
        self.install_in(&self.scope, &json!({}), flows).await;
    }

    /// The same in any plane, with metadata of the manifest.
    pub(crate) async fn install_in(&self, scope: &TenantScope, metadata: &Value, flows: &[(&str, Value)]) {
        let mut manifest = json!({
            "bundle_format_version": "1", "bundle_id": "b", "bundle_version": "1.0.0", "created_at": "",
            "entrypoints": [], "default_entrypoint": flows[0].0, "flows": {}, "metadata": metadata,
        });
        let mut files = std::collections::BTreeMap::new();
        for (id, flow) in flows {
            manifest["entrypoints"]
                .as_array_mut()
                .expect("list")
                .push(json!({"flow_id": id, "name": id}));
            manifest["flows"][*id] = format!("flows/{id}.json").into();
            files.insert((*id).to_owned(), flow.clone());
        }
        let manifest = ag_bundles::Manifest::from_value(&manifest).expect("manifest");
        let documents = files
            .iter()
            .map(|(id, flow)| {
                (
                    id.clone(),
                    Arc::new(flow.as_object().cloned().expect("flow object")),
                )
            })
            .collect();
        let bytes = ag_bundles::pack::pack(&manifest, &documents).expect("pack");
        let package = Package::open(bytes.into(), "test", &Limits::default()).expect("package");
        self.deps
            .workflows
            .check(&package.load().expect("load"))
            .expect("compile");
        let blobs = ag_effects::artifacts::blob_scope(scope);
        self.deps
            .blobs
            .put(&blobs, package.bytes().clone())
            .await
            .expect("blob");
        let record = BundleRecord {
            sha256: package.sha256().to_owned(),
            manifest: serde_json::to_value(package.manifest()).expect("manifest"),
            load_error: None,
        };
        let body = serde_json::to_string(&record).expect("record");
        let document = Document {
            id: "b@1.0.0".into(),
            body,
            updated_at: self.deps.clock.now(),
        };
        self.deps
            .store
            .put_document(scope, DocumentKind::Bundle, document, PutMode::Upsert)
            .await
            .expect("register");
    }

    pub(crate) async fn run(&self, flow: &str, input: Value) -> RunId {
        self.run_in(&self.scope, flow, input).await
    }

    pub(crate) async fn run_in(&self, scope: &TenantScope, flow: &str, input: Value) -> RunId {
        let vars: Object = input.as_object().cloned().unwrap_or_default();
        let request = StartRequest {
            flow_id: Some(format!("b:{flow}")),
            vars,
            ..StartRequest::default()
        };
        self.starter.start(scope, request).await.expect("start")
    }

    pub(crate) async fn row(&self, run: RunId) -> RunRow {
        self.deps
            .store
            .run(&self.scope, run)
            .await
            .expect("read")
            .expect("run exists")
    }

    /// Waits until the run looks as wanted.
    pub(crate) async fn until(&self, run: RunId, what: &str, wanted: impl Fn(&RunRow) -> bool) -> RunRow {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let row = self.row(run).await;
            if wanted(&row) {
                return row;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "run {run} never was {what}: {:?} at {} ({:?}) {:?}",
                row.columns.status,
                row.columns.current_node,
                row.columns.wait,
                row.columns.error
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn ended(&self, run: RunId) -> RunRow {
        self.until(run, "terminal", |row| row.columns.status.is_terminal())
            .await
    }

    pub(crate) async fn waiting(&self, run: RunId) -> RunRow {
        self.until(run, "waiting", |row| row.columns.wait.is_some()).await
    }

    pub(crate) async fn command(&self, run: RunId, kind: &str, payload: Value) {
        let n = self.commands.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let receipt = self
            .post(&format!("c{n}"), run, kind, payload)
            .await
            .expect("post");
        assert!(receipt.accepted);
    }

    /// Posts a command under an id of the test's choice.
    pub(crate) async fn post(
        &self,
        id: &str,
        run: RunId,
        kind: &str,
        payload: Value,
    ) -> Result<CommandReceipt, CommandError> {
        let request = CommandRequest {
            command_id: id.to_owned(),
            run_id: run.to_string(),
            kind: kind.to_owned(),
            payload: payload.as_object().cloned().unwrap_or_default(),
            ts: None,
            client_id: None,
        };
        self.deps.post_command(&self.scope, request).await
    }

    /// A command once its targets have read their mail.
    pub(crate) async fn settled(&self, command: &str) -> CommandRow {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let row = self
                .deps
                .store
                .command(&self.scope, command)
                .await
                .expect("read")
                .expect("stored");
            if !row.pending {
                return row;
            }
            assert!(tokio::time::Instant::now() < deadline, "{command} was never read");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Children of a run, once there are as many as wanted.
    pub(crate) async fn children(&self, run: RunId, wanted: usize) -> Vec<RunId> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let children = self
                .deps
                .store
                .children(&self.scope, run)
                .await
                .expect("children");
            if children.len() >= wanted {
                return children.iter().map(|child| child.head.run_id).collect();
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} of {wanted} children",
                children.len()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// `node:status(type)` of every record.
    pub(crate) async fn ledger(&self, run: RunId) -> Vec<String> {
        let page = self
            .deps
            .store
            .ledger(&self.scope, run, 0, 10_000)
            .await
            .expect("ledger")
            .expect("run exists");
        page.records().map(|(_, line)| row_text(line)).collect()
    }

    pub(crate) fn sqlite(&self) -> &SqliteStore {
        self.store.as_deref().expect("a gateway over SQLite")
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("runner");
        drop(self.starter);
        drop(self.deps);
        drop(self.runner);
        if let Some(store) = self.store {
            store.close().await.expect("clean shutdown");
        }
    }
}

/// A further runner.
pub(crate) struct Joined {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Joined {
    pub(crate) async fn leave(self) {
        self.shutdown.cancel();
        self.task.await.expect("runner");
    }
}

/// `node:status(type)` of a ledger line.
pub(crate) fn row_text(line: &str) -> String {
    let record: Value = serde_json::from_str(line).expect("record");
    let kind = record
        .pointer("/effect/type")
        .and_then(Value::as_str)
        .unwrap_or("-");
    let text = |key: &str| record[key].as_str().unwrap_or("").to_owned();
    format!("{}:{}({kind})", text("node_id"), text("status"))
}

/// Output of an ended run.
pub(crate) fn output(row: &RunRow) -> Value {
    row.columns
        .output
        .as_deref()
        .map_or(Value::Null, |text| serde_json::from_str(text).expect("output"))
}
