//! Whom a run descends from decides what it executes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use ag_types::RunId;

use super::{
    super::{artifacts, flows::Executes, report::Report},
    PlanOptions, PlanePlan,
};

/// Versions that are gone come back from the snapshots of their flows.
pub(super) fn rebuild_missing(options: &PlanOptions, plan: &mut PlanePlan) {
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
pub(super) fn judge(plan: &mut PlanePlan, report: &mut Report) {
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
    pub(in crate::reference) fn executes(&self, run: RunId) -> Executes {
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
    pub(in crate::reference) fn depth(&self, run: RunId) -> u32 {
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
