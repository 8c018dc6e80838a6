//! A bundle in memory.

use std::{collections::HashMap, sync::Arc};

use ag_bundles::{Bundle, namespace};

/// A bundle in memory with the ids derived from it.
pub struct LoadedBundle {
    /// The bundle.
    pub bundle: Bundle,
    /// Listener workflow id → (flow, `on_event` node).
    listeners: HashMap<String, (String, String)>,
    /// Flow → its listener workflow ids; read at every start.
    pub(super) by_flow: HashMap<String, Arc<[String]>>,
}

impl LoadedBundle {
    pub(super) fn new(bundle: Bundle) -> Self {
        let bundle_ref = bundle.manifest().bundle_ref();
        let mut listeners = HashMap::new();
        let mut by_flow = HashMap::new();
        for (flow, document) in bundle.flows() {
            let id = namespace::workflow_id(&bundle_ref, flow);
            let mut ids = Vec::new();
            for node in ag_bundles::flow_check::listener_nodes(document) {
                let listener = namespace::listener_workflow_id(&id, node);
                ids.push(listener.clone());
                listeners.insert(listener, (flow.clone(), node.to_owned()));
            }
            by_flow.insert(flow.clone(), ids.into());
        }
        Self {
            bundle,
            listeners,
            by_flow,
        }
    }

    /// Flow and entry override behind a workflow id of this bundle.
    pub(super) fn locate(&self, workflow_id: &str) -> Option<(String, Option<String>)> {
        if let Some((flow, node)) = self.listeners.get(workflow_id) {
            return Some((flow.clone(), Some(node.clone())));
        }
        let (reference, flow) = workflow_id.split_once(':')?;
        let bundle = reference.split_once('@').map_or(reference, |(id, _)| id);
        let is_ours = bundle == self.bundle.id() && self.bundle.flow(flow).is_some();
        is_ours.then(|| (flow.to_owned(), None))
    }
}
