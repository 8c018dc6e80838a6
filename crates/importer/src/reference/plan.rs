//! A look at the whole source: what is there, and what would become of it.

mod lineage;
mod runs;

use std::{collections::HashMap, fs::File, path::PathBuf, sync::Arc};

use ag_bundles::Limits;
use ag_store::{OwnerRow, SpanEntry};
use ag_types::RunId;

use super::{
    artifacts::{self, FoundArtifact},
    beside,
    documents::{self, FoundDocument},
    flows::{Flows, Origin},
    graph::Graph,
    report::Report,
    source::{self, FileSource, PlaneFolder, RawCommand, Source, SqliteSource, StoreKind},
};
use crate::{ImportError, Progress, lock};

pub(super) use runs::RunInfo;

/// Lock file of the reference's runner.
const LOCK: &str = "gateway_runner.lock";

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
    /// The target can encrypt the keys of connections.
    pub seals: bool,
    /// Bounds for bundles.
    pub limits: Limits,
}

/// One plane, looked at.
pub(super) struct PlanePlan {
    pub(super) folder: PlaneFolder,
    pub(super) runs: HashMap<RunId, RunInfo>,
    pub(super) owners: Vec<OwnerRow>,
    /// Spans of the owners.
    pub(super) spans: Vec<SpanEntry>,
    /// The knowledge graph, where it can be read.
    pub(super) graph: Option<Graph>,
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
    beside::installation(options, &mut report)?;
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
    let graph = Graph::find(&folder.data, report)?;
    beside::plane(&folder, settings, report)?;
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
        spans: Vec::new(),
        graph,
        ledger_total: source.ledger_total()?,
        folder,
        flows,
        artifacts,
        documents,
        commands,
        cursor,
    };
    report.ledger_size += plan.ledger_total;
    runs::look_at_runs(options, &mut *source, progress, &mut plan, report)?;
    lineage::rebuild_missing(options, &mut plan);
    lineage::judge(&mut plan, report);
    for (path, reason) in &plan.flows.broken {
        report.warn(format!("{} is no usable bundle: {reason}", path.display()));
    }
    report.count("bundles", plan.flows.wanted().count() as u64);
    report.count("artifacts", plan.artifacts.len() as u64);
    report.count("memory owners", plan.owners.len() as u64);
    for document in &plan.documents {
        report.count(document.label(), 1);
        report.count("keys of connections", u64::from(document.key.is_some()));
        if let (Some(_), false) = (&document.key, options.seals) {
            report.warn(documents::without_key(&document.document.id));
        }
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
