//! Rows that few write sets have, as one JSON parameter: children, artifacts, owners, memory, outcomes.

use std::sync::Arc;

use ag_store::{
    ArtifactRow, MemoryRow, NewRun, OwnerRow,
    memory::{column_text, vector_bytes},
};
use ag_types::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{arrays::Place, stamp::Stamp};

/// See the module; lists in the order of the batch.
#[derive(Default, Serialize)]
pub(super) struct More<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Child<'a>>,
    artifacts: Vec<Artifact<'a>>,
    owners: Vec<Owner<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Span<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assertions: Vec<Statement<'a>>,
    outcomes: Vec<Outcome<'a>>,
}

#[derive(Serialize)]
struct Child<'a> {
    ix: i32,
    run_id: Uuid,
    parent_run_id: Option<Uuid>,
    workflow_id: &'a str,
    actor_id: Option<&'a str>,
    session_id: Option<&'a str>,
    bundle_sha256: Option<&'a str>,
    created_at: String,
    pool: &'a str,
    place: &'static str,
    owner: Option<i64>,
    epoch: i64,
    wake_at: Option<String>,
    last_seq: i64,
    status: &'static str,
    current_node: &'a str,
    wait_reason: Option<&'static str>,
    wait_key: Option<&'a str>,
    wait_until: Option<String>,
    paused: bool,
    error: Option<&'a str>,
    lifecycle: Option<&'a str>,
    steps: i32,
    llm_calls: i32,
    tool_calls: i32,
    tokens_total: i64,
    updated_at: String,
    wait: Option<&'a str>,
    vars: &'a str,
    meta: &'a str,
    output: Option<&'a str>,
}

#[derive(Serialize)]
struct Artifact<'a> {
    ix: i32,
    place: usize,
    artifact_id: &'a str,
    run_id: Option<&'a str>,
    blob_id: &'a str,
    content_type: &'a str,
    size_bytes: i64,
    created_at: String,
    semantic_kind: &'a str,
    render_kind: &'a str,
    modality: &'a str,
    session_id: Option<&'a str>,
    meta: &'a str,
}

#[derive(Serialize)]
struct Owner<'a> {
    ix: i32,
    owner_id: &'a str,
    session_id: Option<&'a str>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Span<'a> {
    ix: i32,
    place: usize,
    owner_id: &'a str,
    span_id: &'a str,
    change: &'static str,
    created_at: String,
    body: &'a str,
}

#[derive(Serialize)]
struct Statement<'a> {
    ix: i32,
    place: usize,
    owner_id: &'a str,
    scope: &'a str,
    assertion_id: &'a str,
    subject: String,
    predicate: String,
    object: String,
    observed_at: String,
    valid_from: Option<String>,
    valid_until: Option<String>,
    body: &'a str,
    model: Option<&'a str>,
    /// Hex digits.
    vector: Option<String>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    ix: i32,
    command_id: &'a str,
    outcome: &'a str,
}

impl<'a> More<'a> {
    pub(super) fn children(&mut self, ix: i32, children: &'a [NewRun]) {
        self.runs.extend(children.iter().map(|run| child(ix, run)));
    }

    pub(super) fn artifacts(&mut self, ix: i32, rows: &'a [ArtifactRow]) {
        self.artifacts
            .extend(rows.iter().enumerate().map(|(place, row)| Artifact {
                ix,
                place,
                artifact_id: &row.artifact_id,
                run_id: row.run_id.as_deref(),
                blob_id: &row.blob_id,
                content_type: &row.content_type,
                size_bytes: row.size_bytes,
                created_at: text(row.created_at),
                semantic_kind: &row.semantic_kind,
                render_kind: &row.render_kind,
                modality: &row.modality,
                session_id: row.session_id.as_deref(),
                meta: &row.meta,
            }));
    }

    pub(super) fn owners(&mut self, ix: i32, rows: &'a [OwnerRow]) {
        self.owners.extend(rows.iter().map(|row| Owner {
            ix,
            owner_id: &row.owner_id,
            session_id: row.session_id.as_deref(),
            created_at: text(row.created_at),
            updated_at: text(row.updated_at),
        }));
    }

    pub(super) fn memory(&mut self, ix: i32, rows: &'a [MemoryRow]) {
        for (place, row) in rows.iter().enumerate() {
            match row {
                MemoryRow::Span(entry) => self.spans.push(Span {
                    ix,
                    place,
                    owner_id: &entry.owner_id,
                    span_id: &entry.span_id,
                    change: entry.change.as_str(),
                    created_at: text(entry.created_at),
                    body: &entry.body,
                }),
                MemoryRow::Assertion(row) => self.assertions.push(Statement {
                    ix,
                    place,
                    owner_id: &row.owner_id,
                    scope: &row.scope,
                    assertion_id: &row.assertion_id,
                    subject: column_text(&row.subject),
                    predicate: column_text(&row.predicate),
                    object: column_text(&row.object),
                    observed_at: column_text(&row.observed_at),
                    valid_from: row.valid_from.as_deref().map(column_text),
                    valid_until: row.valid_until.as_deref().map(column_text),
                    body: &row.body,
                    model: row.embedding.as_ref().map(|embedding| &*embedding.model),
                    vector: row
                        .embedding
                        .as_ref()
                        .map(|embedding| hex::encode(vector_bytes(&embedding.vector))),
                }),
            }
        }
    }

    pub(super) fn outcomes(&mut self, ix: i32, rows: &'a [(Arc<str>, String)]) {
        self.outcomes
            .extend(rows.iter().map(|(command_id, outcome)| Outcome {
                ix,
                command_id,
                outcome,
            }));
    }

    /// The parameter; nothing in the usual case.
    pub(super) fn parameter(&self) -> sqlx::Result<Option<String>> {
        let empty = self.runs.is_empty()
            && self.artifacts.is_empty()
            && self.owners.is_empty()
            && self.spans.is_empty()
            && self.assertions.is_empty()
            && self.outcomes.is_empty();
        if empty {
            return Ok(None);
        }
        let json = serde_json::to_string(self).map_err(|error| sqlx::Error::Encode(error.into()))?;
        Ok(Some(json))
    }
}

fn child(ix: i32, run: &NewRun) -> Child<'_> {
    let place = Place::from(run.placement);
    let columns = &run.columns;
    Child {
        ix,
        run_id: run.head.run_id.0,
        parent_run_id: run.head.parent_run_id.map(|parent| parent.0),
        workflow_id: &run.head.workflow_id,
        actor_id: run.head.actor_id.as_deref(),
        session_id: run.head.session_id.as_deref(),
        bundle_sha256: run.bundle_sha256.as_deref(),
        created_at: text(run.head.created_at),
        pool: &run.pool,
        place: place.name,
        owner: place.owner,
        epoch: place.epoch,
        wake_at: place.wake.map(|stamp| text(stamp.0)),
        last_seq: run.last_seq,
        status: columns.status.as_str(),
        current_node: &columns.current_node,
        wait_reason: columns.wait_reason.map(|reason| reason.as_str()),
        wait_key: columns.wait_key.as_deref(),
        wait_until: columns.wait_until.map(text),
        paused: columns.paused,
        error: columns.error.as_deref(),
        lifecycle: columns.lifecycle.as_deref(),
        steps: columns.counters.steps,
        llm_calls: columns.counters.llm_calls,
        tool_calls: columns.counters.tool_calls,
        tokens_total: columns.counters.tokens_total,
        updated_at: text(columns.updated_at),
        wait: columns.wait.as_deref(),
        vars: &columns.vars,
        meta: &columns.meta,
        output: columns.output.as_deref(),
    }
}

/// ISO 8601 with microseconds, which the server reads exactly.
fn text(time: Timestamp) -> String {
    Stamp::clamped(time).to_string()
}
