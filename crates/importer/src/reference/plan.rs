//! A look at the whole source: what is there, and what would become of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use ag_bundles::Limits;
use ag_store::{MemoryRow, OwnerRow};
use ag_types::{RunId, RunStatus, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{
    artifacts::{self, FoundArtifact},
    convert,
    digest::Digest,
    documents::{self, FoundDocument},
    flows::{Executes, Flows, Origin},
    report::Report,
    source::{self, FileSource, PlaneFolder, RawCommand, Source, SqliteSource, StoreKind},
};
use crate::{
    ImportError, Progress,
    json::{self, Repairs},
    lock,
};

/// Lock file of the reference's runner.
const LOCK: &str = "gateway_runner.lock";
/// Runs between two reports of progress.
const STRIDE: usize = 64;

/// What to look at.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Store of the source.
    pub kind: StoreKind,
    /// Its data folder, or its database file.
    pub path: PathBuf,
    /// Folders of bundles, or bundle files.
    pub flows_dirs: Vec<PathBuf>,
    /// Settings of the user that ran the source (`~/.abstractcore/config/abstractcore.json`), which hold the defaults
    /// of a gateway without users.
    pub user_settings: Option<PathBuf>,
    /// Read the ledgers too, to count and check them.
    pub ledgers: bool,
    /// Bounds for bundles.
    pub limits: Limits,
}

/// What the import knows of a run before it converts it.
#[derive(Debug, Clone)]
pub(super) struct RunInfo {
    pub(super) workflow: Arc<str>,
    pub(super) status: RunStatus,
    pub(super) parent: Option<RunId>,
    /// The child it waits for, and whether it wants its traces.
    pub(super) waits_for: Option<(RunId, bool)>,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) paused: bool,
}

impl RunInfo {
    #[cfg(test)]
    pub(super) fn for_test(workflow: &str) -> Self {
        Self {
            workflow: workflow.into(),
            status: RunStatus::Waiting,
            parent: None,
            waits_for: None,
            wake_at: None,
            paused: false,
        }
    }
}

/// One plane, looked at.
pub(super) struct PlanePlan {
    pub(super) folder: PlaneFolder,
    pub(super) runs: HashMap<RunId, RunInfo>,
    pub(super) owners: Vec<OwnerRow>,
    /// Spans of the owners.
    pub(super) memory: Vec<MemoryRow>,
    pub(super) flows: Flows,
    pub(super) artifacts: Vec<FoundArtifact>,
    pub(super) documents: Vec<FoundDocument>,
    pub(super) commands: Vec<RawCommand>,
    pub(super) cursor: i64,
    pub(super) ledger_total: u64,
}

/// See the module.
pub struct Plan {
    pub(super) planes: Vec<PlanePlan>,
    /// What is there.
    pub report: Report,
    /// The source's lock files, so that nobody opens it meanwhile.
    pub(super) _locks: Vec<File>,
}

impl Plan {
    /// Reads the source. Blocks a thread of its own.
    ///
    /// # Errors
    /// [`ImportError`] when the source is missing, in use or unreadable as a whole.
    pub async fn read(options: PlanOptions, progress: Arc<dyn Progress>) -> Result<Self, ImportError> {
        let plan = tokio::task::spawn_blocking(move || read(&options, &*progress)).await;
        plan.map_err(|_| ImportError::Interrupted)?
    }
}

pub(super) fn open(folder: &PlaneFolder) -> Result<Box<dyn Source>, ImportError> {
    Ok(match folder.kind {
        StoreKind::File => Box::new(FileSource::new(&folder.store)),
        StoreKind::Sqlite => Box::new(SqliteSource::open(&folder.store)?),
    })
}

fn read(options: &PlanOptions, progress: &dyn Progress) -> Result<Plan, ImportError> {
    let folders = source::planes(options.kind, &options.path)?;
    let mut locks = Vec::new();
    for folder in &folders {
        locks.extend(lock::hold(&folder.data, LOCK)?);
    }
    let mut report = Report::default();
    let mut planes = Vec::new();
    for folder in folders {
        let is_root = folder.flows.is_none() && planes.is_empty();
        report
            .planes
            .push(format!("{}/{}", folder.tenant_id, folder.runtime_id));
        planes.push(plane(options, progress, folder, is_root, &mut report)?);
    }
    beside_planes(options, &mut report);
    Ok(Plan {
        planes,
        report,
        _locks: locks,
    })
}

fn plane(
    options: &PlanOptions,
    progress: &dyn Progress,
    folder: PlaneFolder,
    is_root: bool,
    report: &mut Report,
) -> Result<PlanePlan, ImportError> {
    let mut source = open(&folder)?;
    let artifacts = artifacts::find(&folder.data, report)?;
    let settings = options.user_settings.as_deref().filter(|_| is_root);
    let documents = documents::find(&folder.data, settings, report)?;
    let mut flows = bundles(options, &folder)?;
    flows.add_stored(documents::dynamic_ids(&documents));
    let (commands, broken) = source.commands()?;
    let cursor = source.cursor()?;
    let pending = commands.iter().filter(|command| command.seq > cursor).count() as u64;
    report.pending_commands += pending;
    report.applied_commands += commands.len() as u64 - pending;
    if broken > 0 {
        report.warn(format!("{broken} commands cannot be read and are left out"));
    }
    let orphans = source.orphan_ledgers()?;
    if orphans > 0 {
        report.warn(format!("{orphans} ledgers belong to no run and are left out"));
    }
    report.ledger_unit = source.unit();
    let mut plan = PlanePlan {
        runs: HashMap::new(),
        owners: Vec::new(),
        memory: Vec::new(),
        ledger_total: source.ledger_total()?,
        folder,
        flows,
        artifacts,
        documents,
        commands,
        cursor,
    };
    report.ledger_size += plan.ledger_total;
    look_at_runs(options, &mut *source, progress, &mut plan, report)?;
    rebuild_missing(options, &mut plan);
    judge(&mut plan, report);
    for (path, reason) in &plan.flows.broken {
        report.warn(format!("{} is no usable bundle: {reason}", path.display()));
    }
    report.count("bundles", plan.flows.wanted().count() as u64);
    report.count("artifacts", plan.artifacts.len() as u64);
    report.count("memory owners", plan.owners.len() as u64);
    for document in &plan.documents {
        report.count(document.label(), 1);
    }
    report.count(
        "workspaces",
        source::folders(&plan.folder.data.join("workspaces"))?.len() as u64,
    );
    Ok(plan)
}

fn bundles(options: &PlanOptions, folder: &PlaneFolder) -> Result<Flows, ImportError> {
    let mut flows = Flows::default();
    if let Some(own) = &folder.flows {
        flows.read(own, Origin::Installed, &options.limits)?;
    }
    // The folders on the command line are those of the root plane; a user's run may still name one of theirs.
    let origin = match folder.flows {
        Some(_) => Origin::Kept,
        None => Origin::Installed,
    };
    for dir in &options.flows_dirs {
        flows.read(dir, origin, &options.limits)?;
    }
    flows.add_shipped();
    Ok(flows)
}

/// The members of a stored run that the plan needs; its variables are skipped over.
#[derive(Deserialize)]
struct Head {
    workflow_id: String,
    status: String,
    #[serde(default)]
    waiting: Option<HeadWait>,
    #[serde(default)]
    parent_run_id: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(default)]
    vars: Option<HeadVars>,
}

#[derive(Deserialize)]
struct HeadWait {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    wait_key: Option<Value>,
    #[serde(default)]
    until: Option<Value>,
    #[serde(default)]
    details: Option<Value>,
}

#[derive(Deserialize, Default)]
struct HeadVars {
    #[serde(default, rename = "_runtime")]
    runtime: Option<HeadRuntime>,
}

#[derive(Deserialize, Default)]
struct HeadRuntime {
    #[serde(default)]
    control: Option<Value>,
    #[serde(default)]
    memory_spans: Option<Vec<Value>>,
}

fn look_at_runs(
    options: &PlanOptions,
    source: &mut dyn Source,
    progress: &dyn Progress,
    plan: &mut PlanePlan,
    report: &mut Report,
) -> Result<(), ImportError> {
    let ids = source.run_ids()?;
    progress.begin("reading", ids.len() as u64, "runs");
    let mut workflows: HashSet<Arc<str>> = HashSet::new();
    for (n, id) in ids.iter().enumerate() {
        if n % STRIDE == 0 {
            progress.advance(n as u64);
        }
        let Some(bytes) = source.run(id)? else { continue };
        // Repairs of variables are counted when they are converted or the ledger is read as well.
        let mut repairs = Repairs::default();
        let head = json::document(&bytes, &mut repairs)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str::<Head>(&text).map_err(|error| error.to_string()));
        report.repairs += repairs;
        match head {
            Ok(head) => take_run(id, head, &mut workflows, plan, report),
            Err(reason) => report.unreadable.push((id.clone(), reason)),
        }
        if options.ledgers {
            read_ledger(source, id, report)?;
        }
    }
    progress.end();
    Ok(())
}

fn take_run(
    id: &str,
    head: Head,
    workflows: &mut HashSet<Arc<str>>,
    plan: &mut PlanePlan,
    report: &mut Report,
) {
    let spans = head
        .vars
        .as_ref()
        .and_then(|vars| vars.runtime.as_ref()?.memory_spans.as_ref());
    report.count("memory spans", spans.map_or(0, Vec::len) as u64);
    let Ok(run) = id.parse::<RunId>() else {
        return take_owner(id, head, plan, report);
    };
    let Some(status) = RunStatus::parse(&head.status) else {
        let reason = format!("unknown status '{}'", head.status);
        return report.unreadable.push((id.to_owned(), reason));
    };
    let control = head
        .vars
        .as_ref()
        .and_then(|vars| vars.runtime.as_ref()?.control.as_ref());
    let paused = control.and_then(|control| control.get("paused")) == Some(&Value::Bool(true));
    let wait = head.waiting.filter(|_| status == RunStatus::Waiting);
    let reason = wait
        .as_ref()
        .and_then(|wait| wait.reason.clone())
        .unwrap_or_default();
    let label = match status {
        RunStatus::Waiting if paused => format!("waiting: {reason}, paused"),
        RunStatus::Waiting => format!("waiting: {reason}"),
        other => other.as_str().to_owned(),
    };
    *report.runs.entry(label).or_default() += 1;
    let workflow = match workflows.get(head.workflow_id.as_str()) {
        Some(known) => known.clone(),
        None => {
            let name: Arc<str> = head.workflow_id.into();
            workflows.insert(name.clone());
            name
        }
    };
    plan.runs.insert(
        run,
        RunInfo {
            workflow,
            status,
            parent: head.parent_run_id.and_then(|parent| parent.parse().ok()),
            waits_for: wait
                .as_ref()
                .filter(|_| reason == "subworkflow")
                .and_then(waited_for),
            wake_at: wait
                .as_ref()
                .filter(|_| reason == "until" && !paused)
                .and_then(|wait| Timestamp::parse(wait.until.as_ref()?.as_str()?).ok()),
            paused,
        },
    );
}

fn waited_for(wait: &HeadWait) -> Option<(RunId, bool)> {
    let details = wait.details.as_ref();
    let named = details.and_then(|details| details.get("sub_run_id")?.as_str());
    let key = wait.wait_key.as_ref().and_then(Value::as_str);
    let child = named.or_else(|| key?.strip_prefix("subworkflow:"))?;
    let traces = details.and_then(|details| details.get("include_traces")) == Some(&Value::Bool(true));
    Some((child.parse().ok()?, traces))
}

/// Runs with other ids hold the memory of a session or of all.
fn take_owner(id: &str, head: Head, plan: &mut PlanePlan, report: &mut Report) {
    if !head.workflow_id.starts_with("__") {
        let reason = "its id is no UUID".to_owned();
        return report.unreadable.push((id.to_owned(), reason));
    }
    let time = |text: &Option<String>| text.as_deref().and_then(|text| Timestamp::parse(text).ok());
    let created_at = time(&head.created_at).unwrap_or(Timestamp::from_micros(0));
    plan.owners.push(OwnerRow {
        owner_id: id.to_owned(),
        session_id: head.session_id.clone(),
        created_at,
        updated_at: time(&head.updated_at).unwrap_or(created_at),
    });
    let spans = head.vars.and_then(|vars| vars.runtime?.memory_spans);
    plan.memory
        .extend(convert::spans(id, spans.unwrap_or_default(), created_at));
}

fn read_ledger(source: &mut dyn Source, id: &str, report: &mut Report) -> Result<(), ImportError> {
    let (mut digest, mut cut) = (Digest::default(), 0);
    let mut repairs = Repairs::default();
    source.ledger(id, &mut |line, _| {
        let text = json::utf8(line, &mut repairs);
        cut += u64::from(json::values(&text, &mut repairs, |record| {
            if record.starts_with('{') {
                digest.push(&record);
            }
        }));
        digest.take_closed();
        Ok(())
    })?;
    report.repairs += repairs;
    report.records += digest.records.unsigned_abs();
    if cut > 0 {
        report.warn(format!(
            "run {id}: {cut} ledger lines are cut off; what can be read of them is kept"
        ));
    }
    Ok(())
}

/// Versions that are gone come back from the snapshots of their flows.
fn rebuild_missing(options: &PlanOptions, plan: &mut PlanePlan) {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for info in plan.runs.values().filter(|info| !info.status.is_terminal()) {
        // The listeners and agents of a flow run under other names; their root names it.
        let mut current = Some(info);
        for _ in 0..64 {
            let Some(info) = current else { break };
            if let Some((reference, flow)) = plan.flows.missing(&info.workflow) {
                wanted.entry(reference).or_default().insert(flow);
            }
            current = info.parent.and_then(|parent| plan.runs.get(&parent));
        }
    }
    for (reference, flows) in wanted {
        let mut found = BTreeMap::new();
        for flow in flows {
            if let Some(document) = artifacts::snapshot(&plan.artifacts, &format!("{reference}:{flow}")) {
                found.insert(flow, document);
            }
        }
        if !found.is_empty() {
            plan.flows.rebuild(&reference, found, &options.limits);
        }
    }
}

/// Which bundles are needed, and which live runs have none.
fn judge(plan: &mut PlanePlan, report: &mut Report) {
    let mut used = HashSet::new();
    for (id, info) in &plan.runs {
        match plan.executes(*id) {
            Executes::Bundle(sha) => {
                used.insert(sha);
            }
            Executes::Nothing if !info.status.is_terminal() => {
                let reason = format!(
                    "workflow '{}' was not found (name its folder with --flows-dir)",
                    info.workflow
                );
                report.cannot_continue.push((id.to_string(), reason));
            }
            Executes::Stored | Executes::Nothing => {}
        }
    }
    report.cannot_continue.sort();
    for sha in used {
        plan.flows.mark_used(&sha);
    }
}

impl PlanePlan {
    /// What a run executes; agents and listeners inherit the bundle of the nearest ancestor that has one.
    pub(super) fn executes(&self, run: RunId) -> Executes {
        let mut names = Vec::new();
        let mut current = self.runs.get(&run);
        // A damaged chain of parents must not hold the import up.
        while let Some(info) = current
            && names.len() < 256
        {
            names.push(&info.workflow);
            current = info.parent.and_then(|parent| self.runs.get(&parent));
        }
        let mut parent: Option<Arc<str>> = None;
        let mut found = Executes::Nothing;
        for name in names.into_iter().rev() {
            found = self.flows.find(name, parent.as_ref());
            if let Executes::Bundle(sha) = &found {
                parent = Some(sha.clone());
            }
        }
        found
    }

    /// Number of ancestors.
    pub(super) fn depth(&self, run: RunId) -> u32 {
        let mut depth = 0;
        let mut current = self.runs.get(&run).and_then(|info| info.parent);
        while let Some(parent) = current
            && depth < 256
        {
            depth += 1;
            current = self.runs.get(&parent).and_then(|info| info.parent);
        }
        depth
    }
}

/// Things that belong to the installation and are not imported.
fn beside_planes(options: &PlanOptions, report: &mut Report) {
    let root = match options.path.is_file() {
        true => options.path.parent().unwrap_or(Path::new(".")).to_owned(),
        false => options.path.clone(),
    };
    for (path, what) in [
        (
            "auth/users.json",
            "users and their tokens are not imported: this gateway has no users mode yet",
        ),
        (
            "auth/sessions.json",
            "browser sessions are not imported: their users sign in again",
        ),
        (
            "workflow_catalog.json",
            "the tenant catalogue is not imported: upload its bundles again",
        ),
        (
            "abstractmemory/kg",
            "the knowledge graph is a LanceDB folder, which is not read: export its triples with the \
            Python gateway (POST /api/gateway/kg/query with an empty filter) and assert them again",
        ),
    ] {
        if root.join(path).exists() {
            report.warn(format!("{path}: {what}"));
        }
    }
}
