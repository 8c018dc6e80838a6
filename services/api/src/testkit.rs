//! A node in memory: the real router over the store's fake.

use std::sync::Arc;

use ag_artifacts::{BlobStore, MemoryBlobs};
use ag_auth::{
    SharedTokens, TokenSet,
    audit::{AuditRecord, AuditSink},
};
use ag_config::Config;
use ag_effects::{EffectCtx, EffectRegistry, Tools, ToolsDone};
use ag_engine::{
    Deps, Host, HostFailure, HostQuestion, ModelDefaults, ModelLimits, RunSettings, Starter, TickLimits,
    Workflows,
};
use ag_kernel::{Interrupt, StepEnv, StepPlan, ToolCatalogue, Workflow, aux::ApprovedBatch};
use ag_messaging::{
    LocalCounters, SharedCounters,
    local::{LocalBell, LocalFeed},
};
use ag_store::{
    Counters, Document, DocumentKind, NewRun, Placement, PutMode, RunColumns, Segment, Start, Store,
    fake::FakeStore,
};
use ag_types::{
    Clock, IdGen, RunHead, RunId, RunState, RunStatus, SystemClock, SystemIds, TenantScope, Timestamp, Wait,
};
use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{AppState, Extensions, Fitness, NoSessions, Services, router};

/// The shared token of test nodes.
pub(crate) const TOKEN: &str = "test-token-test-token-test-token";

/// A node.
pub(crate) struct Node {
    pub(crate) state: AppState,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) feed: Arc<LocalFeed>,
    pub(crate) audit: Arc<Recorded>,
    pub(crate) fit: Fitness,
    pub(crate) scope: TenantScope,
    app: Router,
}

/// What a node stands on; two nodes over the same are a cluster.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) counters: Arc<dyn SharedCounters>,
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            store: Arc::new(FakeStore::new(Arc::new(SystemClock))),
            blobs: Arc::new(MemoryBlobs::default()),
            counters: Arc::new(LocalCounters::default()),
        }
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// Status and `detail`.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["detail"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// Audit records in memory.
#[derive(Default)]
pub(crate) struct Recorded(pub(crate) Mutex<Vec<AuditRecord>>);

impl AuditSink for Recorded {
    fn record(&self, record: AuditRecord) {
        self.0.lock().push(record);
    }
}

impl Node {
    /// A node with the default configuration.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A node with some of the configuration changed.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::built(change, |_| Extensions::default())
    }

    /// A node with services of single families, made over its store.
    pub(crate) fn built(
        change: impl FnOnce(&mut Config),
        extensions: impl FnOnce(&Arc<dyn Store>) -> Extensions,
    ) -> Self {
        Self::over(Ground::default(), change, extensions)
    }

    /// A node over what others may stand on as well.
    pub(crate) fn over(
        ground: Ground,
        change: impl FnOnce(&mut Config),
        extensions: impl FnOnce(&Arc<dyn Store>) -> Extensions,
    ) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let Ground {
            store,
            blobs,
            counters,
        } = ground;
        let feed = Arc::new(LocalFeed::default());
        let workflows = Workflows::new(
            store.clone(),
            blobs.clone(),
            Arc::new(ag_nodes::Registry),
            Arc::new(Nothing),
            ag_bundles::Limits::default(),
        );
        let deps = Deps {
            store: store.clone(),
            blobs,
            bell: Arc::new(LocalBell::default()),
            feed: feed.clone(),
            effects: EffectRegistry::default(),
            tools: Arc::new(Nothing),
            host: Arc::new(Nothing),
            workflows: Arc::new(workflows),
            catalogue: Arc::new(Nothing),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            limits: TickLimits::default(),
            zone: jiff::tz::TimeZone::UTC,
            locale: "en_US".to_owned(),
        };
        let extensions = extensions(&store);
        let defaults = extensions.get::<Defaults>().map_or_else(
            || Arc::new(Nothing) as Arc<dyn ModelDefaults>,
            |given| given.0.clone(),
        );
        let starter = Starter::new(Arc::new(deps), defaults, RunSettings::default(), None);
        let mut tokens = TokenSet::default();
        tokens.add(TOKEN);
        let audit = Arc::new(Recorded::default());
        let fit = Fitness::default();
        let state = AppState::new(Services {
            config: Arc::new(config),
            starter: Arc::new(starter),
            users_mode: false,
            authenticator: Arc::new(SharedTokens::new(tokens)),
            csrf: Arc::new(NoSessions),
            audit: audit.clone(),
            counters,
            fit: fit.clone(),
            metrics: None,
            extensions,
        });
        let app = router(state.clone());
        Self {
            state,
            store,
            feed,
            audit,
            fit,
            scope: TenantScope::root(),
            app,
        }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("body").to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends a request and leaves the body to the caller.
    pub(crate) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.app.clone().oneshot(request).await.expect("infallible")
    }

    /// `GET` with the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).expect("request"))
            .await
    }

    /// `POST` of JSON with the token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(json_request(path, body)).await
    }

    /// Stores a run with some records.
    pub(crate) async fn store_run(&self, seed: Seed) -> RunId {
        let run = SystemIds.run_id();
        let now = SystemClock.now();
        let records: Vec<String> = (1..=seed.records).map(|seq| record(run, seq)).collect();
        let session = seed.session.clone().unwrap_or_else(|| run.to_string());
        let new = NewRun {
            head: RunHead {
                run_id: run,
                workflow_id: seed.workflow.as_str().into(),
                actor_id: Some("gateway".into()),
                session_id: Some(session.as_str().into()),
                parent_run_id: seed.parent,
                created_at: now,
            },
            pool: "default".into(),
            bundle_sha256: None,
            columns: columns(&seed, now),
            segments: segments(&records, 0),
            last_seq: records.len() as i64,
            placement: match seed.status {
                RunStatus::Running => Placement::Ready,
                RunStatus::Waiting => Placement::Rest { wake_at: None },
                RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Placement::Terminal,
            },
        };
        let start = Start {
            key: None,
            generation: None,
            runs: vec![new],
            artifacts: vec![],
            owners: vec![],
            memory: vec![],
            mail: vec![],
            now,
        };
        self.store.start(&self.scope, start).await.expect("stored");
        run
    }

    /// Stores a generated flow that asks a question.
    pub(crate) async fn store_flow(&self, id: &str) {
        let node = |id: &str, kind: &str, inputs: Value, outputs: Value| {
            json!({"id": id, "type": kind, "position": {"x": 0, "y": 0}, "data": {
                "nodeType": kind, "label": id, "inputs": inputs, "outputs": outputs,
                "pinDefaults": {"prompt": "who?"},
            }})
        };
        let pin = |id: &str, kind: &str| json!({"id": id, "label": id, "type": kind});
        let flow = json!({
            "id": id, "name": id, "entryNode": "start",
            "nodes": [
                node("start", "on_flow_start", json!([]), json!([pin("exec-out", "execution")])),
                node("ask", "ask_user", json!([pin("exec-in", "execution"), pin("prompt", "string")]),
                    json!([pin("exec-out", "execution"), pin("response", "string")])),
            ],
            "edges": [{"id": "e", "source": "start", "sourceHandle": "exec-out", "target": "ask", "targetHandle": "exec-in"}],
        });
        let document = Document {
            id: id.to_owned(),
            body: flow.to_string(),
            updated_at: SystemClock.now(),
        };
        self.store
            .put_document(&self.scope, DocumentKind::DynamicFlow, document, PutMode::Upsert)
            .await
            .expect("stored");
    }
}

/// A request with the token.
pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {TOKEN}"))
}

/// A `POST` of JSON with the token.
pub(crate) fn json_request(path: &str, body: &Value) -> Request<Body> {
    let request = request("POST", path).header("content-type", "application/json");
    request.body(Body::from(body.to_string())).expect("request")
}

/// A run to store.
pub(crate) struct Seed {
    pub(crate) workflow: String,
    pub(crate) session: Option<String>,
    pub(crate) parent: Option<RunId>,
    pub(crate) status: RunStatus,
    pub(crate) vars: Value,
    pub(crate) wait: Option<Wait>,
    pub(crate) records: i64,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            workflow: "b@1:f".to_owned(),
            session: None,
            parent: None,
            status: RunStatus::Waiting,
            vars: json!({}),
            wait: None,
            records: 0,
        }
    }
}

/// Columns of a run.
pub(crate) fn columns(seed: &Seed, now: Timestamp) -> RunColumns {
    let lifecycle = ag_engine::lifecycle::sanitise(&seed.vars["_run_lifecycle"]);
    RunColumns {
        status: seed.status,
        current_node: "n".to_owned(),
        wait_reason: seed.wait.as_ref().map(|wait| wait.reason),
        wait_key: seed.wait.as_ref().and_then(|wait| wait.wait_key.clone()),
        wait_until: None,
        paused: false,
        error: None,
        wait: seed.wait.as_ref().map(|wait| json!(wait).to_string().into()),
        vars: seed.vars.to_string().into(),
        meta: "{}".into(),
        output: None,
        lifecycle: lifecycle.map(|lifecycle| Value::Object(lifecycle).to_string().into()),
        counters: Counters::default(),
        updated_at: now,
    }
}

/// A ledger line.
pub(crate) fn record(run: RunId, seq: i64) -> String {
    json!({"run_id": run, "node_id": format!("n{seq}"), "status": "completed", "effect": null,
        "started_at": format!("2026-01-01T00:00:{seq:02}+00:00"), "ended_at": null})
    .to_string()
}

/// Lines as segments of three.
pub(crate) fn segments(lines: &[String], before: i64) -> Vec<Segment> {
    let chunk = |(index, lines): (usize, &[String])| {
        let first_seq = before + (index * 3) as i64 + 1;
        Segment {
            first_seq,
            last_seq: first_seq + lines.len() as i64 - 1,
            lines: lines.join("\n").into(),
        }
    };
    lines.chunks(3).enumerate().map(chunk).collect()
}

/// Default models of a node's starts, where a test brings them.
pub(crate) struct Defaults(pub(crate) Arc<dyn ModelDefaults>);

/// Ports that no test here uses.
struct Nothing;

#[async_trait]
impl ModelDefaults for Nothing {
    async fn text_route(&self, _: &TenantScope) -> Option<(String, String)> {
        None
    }
    fn limits(&self, _: Option<&str>) -> ModelLimits {
        ModelLimits {
            max_tokens: 1_000,
            max_output_tokens: 100,
            tool_support: "none",
        }
    }
}

#[async_trait]
impl Host for Nothing {
    async fn answer(&self, _: HostQuestion<'_>) -> Result<Value, HostFailure> {
        Ok(Value::Null)
    }
}

#[async_trait]
impl Tools for Nothing {
    async fn run_approved(&self, _: &EffectCtx<'_>, _: &ApprovedBatch) -> ToolsDone {
        ToolsDone::default()
    }
    fn settle(&self, _: &Wait, _: &Value) -> Option<Value> {
        None
    }
}

impl ToolCatalogue for Nothing {
    fn spec(&self, _: &str) -> Option<Value> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Workflow for Nothing {
    fn entry_node(&self) -> &str {
        "start"
    }
    fn plan(&self, _: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        panic!("no test runs an agent")
    }
}
