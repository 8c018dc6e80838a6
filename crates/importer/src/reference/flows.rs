//! The bundles that the runs of a plane execute.
//!
//! A run keeps its flow by the hash of its bundle (difference X14), the reference only knows `id@version:flow`. So
//! the bundles are found first: in the folders that were named, among those that come with the gateway, and, where a
//! version is gone, rebuilt from the snapshots of flows that the reference keeps with root runs.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use ag_bundles::{
    BundleIndex, IndexedVersion, Limits, Manifest, Object, Package, flow_check, namespace, pack, select,
    shipped::shipped_packages,
};
use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;

use super::source;
use crate::ImportError;

/// Ids of agent loops; they belong to the bundle of their parent.
const AGENT: &str = "visual_react_agent_";
/// Ids of listeners, likewise.
const LISTENER: &str = "visual_event_listener_";
/// Ids of schedules' flows.
const SCHEDULED: &str = "scheduled:";

/// Where a bundle comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A folder of the plane: installed there.
    Installed,
    /// Known otherwise: only its bytes are kept, for the runs that need it.
    Kept,
}

pub(super) struct KnownBundle {
    pub(super) package: Package,
    pub(super) origin: Origin,
    flows: HashSet<String>,
    /// Some run executes it.
    pub(super) used: bool,
}

/// What a run executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Executes {
    /// A flow of a bundle with this hash.
    Bundle(Arc<str>),
    /// A stored flow.
    Stored,
    /// Nothing that could be found.
    Nothing,
}

/// Bundles of one plane.
#[derive(Default)]
pub(super) struct Flows {
    bundles: BTreeMap<String, KnownBundle>,
    listeners: HashMap<String, Arc<str>>,
    index: BundleIndex,
    stored: HashSet<String>,
    /// Files that are no bundles, with reasons.
    pub(super) broken: Vec<(PathBuf, String)>,
}

impl Flows {
    /// Reads a bundle folder, or one bundle file.
    pub(super) fn read(&mut self, path: &Path, origin: Origin, limits: &Limits) -> Result<(), ImportError> {
        let files = match path.is_file() {
            true => vec![path.to_owned()],
            false if path.is_dir() => source::files(path, "flow")?,
            false => {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(ImportError::read(path)(missing));
            }
        };
        for file in files {
            let bytes = std::fs::read(&file).map_err(ImportError::read(&file))?;
            let name = file.to_string_lossy().into_owned();
            match Package::open(Bytes::from(bytes), &name, limits) {
                Ok(package) => self.add(package, origin),
                Err(error) => self.broken.push((file, error.to_string())),
            }
        }
        Ok(())
    }

    /// Adds what comes with the gateway.
    pub(super) fn add_shipped(&mut self) {
        for package in shipped_packages() {
            self.add(package, Origin::Kept);
        }
    }

    /// Knows the flows that are stored as documents.
    pub(super) fn add_stored(&mut self, ids: impl IntoIterator<Item = String>) {
        self.stored.extend(ids);
    }

    /// The first of a repeated version wins.
    fn add(&mut self, package: Package, origin: Origin) {
        let manifest = package.manifest().clone();
        let reference = manifest.bundle_ref();
        if self.bundles.contains_key(&reference) {
            return;
        }
        let sha: Arc<str> = package.sha256().into();
        let mut flows = HashSet::new();
        if let Ok(bundle) = package.load() {
            for (flow, document) in bundle.flows() {
                let id = namespace::workflow_id(&reference, flow);
                for node in flow_check::listener_nodes(document) {
                    self.listeners
                        .insert(namespace::listener_workflow_id(&id, node), sha.clone());
                }
                flows.insert(flow.clone());
            }
        }
        let id = manifest.bundle_id.clone();
        self.index.insert(
            &id,
            IndexedVersion {
                manifest: Arc::new(manifest),
                sha256: sha.to_string(),
            },
        );
        self.bundles.insert(
            reference,
            KnownBundle {
                package,
                origin,
                flows,
                used: false,
            },
        );
    }

    /// What `workflow_id` means for a run whose parent executes the bundle `parent`.
    pub(super) fn find(&self, workflow_id: &str, parent: Option<&Arc<str>>) -> Executes {
        let inherited = || parent.map_or(Executes::Nothing, |sha| Executes::Bundle(sha.clone()));
        if workflow_id.starts_with(AGENT) {
            return inherited();
        }
        if workflow_id.starts_with(LISTENER) {
            return match self.listeners.get(workflow_id) {
                Some(sha) => Executes::Bundle(sha.clone()),
                None => inherited(),
            };
        }
        if workflow_id.starts_with(SCHEDULED) || self.stored.contains(workflow_id) {
            return match self.stored.contains(workflow_id) {
                true => Executes::Stored,
                false => Executes::Nothing,
            };
        }
        let Some(flow) = select::resolve_workflow_id(&self.index, workflow_id) else {
            return Executes::Nothing;
        };
        match self.bundles.get(&flow.bundle.bundle_ref()) {
            Some(bundle) if bundle.flows.contains(&flow.flow_id) => {
                Executes::Bundle(bundle.package.sha256().into())
            }
            _ => Executes::Nothing,
        }
    }

    /// Notes that a run executes this bundle.
    pub(super) fn mark_used(&mut self, sha: &str) {
        for bundle in self
            .bundles
            .values_mut()
            .filter(|bundle| bundle.package.sha256() == sha)
        {
            bundle.used = true;
        }
    }

    /// The bundle and flow of `id@version:flow`, if that version is not known.
    pub(super) fn missing(&self, workflow_id: &str) -> Option<(String, String)> {
        let (reference, flow) = workflow_id.split_once(':')?;
        let known = self.bundles.contains_key(reference) || !reference.contains('@');
        (!known).then(|| (reference.to_owned(), flow.to_owned()))
    }

    /// Makes a bundle of what snapshots hold of a version that is gone.
    pub(super) fn rebuild(&mut self, reference: &str, flows: BTreeMap<String, Object>, limits: &Limits) {
        let Some((id, version)) = reference.split_once('@') else {
            return;
        };
        let entrypoints: Vec<Value> = flows
            .keys()
            .map(|flow| serde_json::json!({"flow_id": flow, "name": flow, "description": "", "interfaces": []}))
            .collect();
        let paths: serde_json::Map<String, Value> = flows
            .keys()
            .enumerate()
            .map(|(n, flow)| (flow.clone(), format!("flows/{n}.json").into()))
            .collect();
        let manifest = serde_json::json!({
            "bundle_format_version": "1", "bundle_id": id, "bundle_version": version, "created_at": "",
            "entrypoints": entrypoints, "default_entrypoint": flows.keys().next(), "flows": paths,
            "artifacts": {}, "assets": {}, "metadata": {},
        });
        let built = Manifest::from_value(&manifest)
            .map_err(|error| error.to_string())
            .and_then(|manifest| {
                let flows: IndexMap<String, Arc<Object>> =
                    flows.into_iter().map(|(id, flow)| (id, Arc::new(flow))).collect();
                pack::pack(&manifest, &flows).map_err(|error| error.to_string())
            })
            .and_then(|bytes| {
                Package::open(bytes.into(), reference, limits).map_err(|error| error.to_string())
            });
        match built {
            Ok(package) => self.add(package, Origin::Kept),
            Err(reason) => self.broken.push((PathBuf::from(reference), reason)),
        }
    }

    /// Bundles to store.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &KnownBundle> {
        self.bundles
            .values()
            .filter(|bundle| bundle.used || bundle.origin == Origin::Installed)
    }
}
