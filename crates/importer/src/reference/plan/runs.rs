//! The runs of a plane: what the plan reads of their states, and their ledgers where they are to be checked.

use std::{collections::HashSet, sync::Arc};

use ag_store::OwnerRow;
use ag_types::{Object, RunId, RunStatus, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{convert, digest::Digest, report::Report, source::Source},
    PlanOptions, PlanePlan,
};
use crate::{
    ImportError, Progress,
    json::{self, Repairs},
};

/// Runs between two reports of progress.
const STRIDE: usize = 64;

/// What the import knows of a run before it converts it.
#[derive(Debug, Clone)]
pub(in crate::reference) struct RunInfo {
    pub(in crate::reference) workflow: Arc<str>,
    pub(in crate::reference) status: RunStatus,
    pub(in crate::reference) parent: Option<RunId>,
    /// The child it waits for, and whether it wants its traces.
    pub(in crate::reference) waits_for: Option<(RunId, bool)>,
    pub(in crate::reference) wake_at: Option<Timestamp>,
    pub(in crate::reference) paused: bool,
}

impl RunInfo {
    #[cfg(test)]
    pub(in crate::reference) fn for_test(workflow: &str) -> Self {
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

pub(super) fn look_at_runs(
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
    plan.spans.extend(convert::spans(
        id,
        spans.unwrap_or_default(),
        &Object::new(),
        created_at,
    ));
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
