//! `POST /runs/purge_drafts`: deletes expired runs of drafts, whole trees at a time (runs contract §5).

mod candidate;
mod tree;

use ag_store::RunFilter;
use ag_types::{RunId, Timestamp};
use axum::Json;
use serde::Serialize;
use serde_json::Value;

use crate::{
    ApiResult, CallContext, Input, Request,
    input::{BodyRule, Reader, boolean, int, list, string},
};
use candidate::{Candidate, Reason};

/// Most root runs that one call looks at.
const MAX_SCAN: i64 = 5_000;

/// What to purge.
pub(super) struct PurgeDraftRuns {
    dry_run: bool,
    limit: i64,
    session_id: Option<String>,
    workflow_id: Option<String>,
    run_ids: Option<Vec<String>>,
    force: bool,
    include_active: bool,
    delete_artifacts: bool,
    delete_workspaces: bool,
}

impl Request for PurgeDraftRuns {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        Self {
            dry_run: body.or("dry_run", boolean(), true),
            limit: body.or("limit", int().ge(1).le(5000), 200),
            session_id: body.optional("session_id", string()),
            workflow_id: body.optional("workflow_id", string()),
            run_ids: body.optional("run_ids", list(string())),
            force: body.or("force", boolean(), false),
            include_active: body.or("include_active", boolean(), false),
            delete_artifacts: body.or("delete_artifacts", boolean(), true),
            delete_workspaces: body.or("delete_workspaces", boolean(), true),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Purged {
    ok: bool,
    dry_run: bool,
    policy: Policy,
    scanned: usize,
    eligible: usize,
    purged: usize,
    skipped: usize,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Policy {
    purpose: &'static str,
    retention_mode: &'static str,
    default_ttl_s: u64,
    terminal_statuses: [&'static str; 3],
}

#[derive(Serialize)]
struct Item {
    run_id: String,
    status: Option<&'static str>,
    workflow_id: Option<String>,
    session_id: Option<String>,
    run_lifecycle: Option<ag_types::Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_expires_at: Option<Timestamp>,
    eligible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purge: Option<Value>,
}

/// Deletes, or says what it would delete.
pub(super) async fn purge_draft_runs(
    ctx: CallContext,
    Input(asked): Input<PurgeDraftRuns>,
) -> ApiResult<Json<Purged>> {
    let default_ttl_s = ctx.state().config().workflows.draft_run_retention_s;
    let (scanned, ids) = match &asked.run_ids {
        Some(ids) => (ids.len(), ids.clone()),
        None => scan(&ctx, &asked).await?,
    };
    let limit = usize::try_from(asked.limit).unwrap_or_default();
    let mut answer = Purged {
        ok: true,
        dry_run: asked.dry_run,
        policy: Policy {
            purpose: "draft_test",
            retention_mode: "ephemeral",
            default_ttl_s,
            terminal_statuses: ["cancelled", "completed", "failed"],
        },
        scanned,
        eligible: 0,
        purged: 0,
        skipped: 0,
        items: Vec::new(),
    };
    for id in ids.into_iter().take(limit) {
        let item = one(&ctx, &asked, id, default_ttl_s, &mut answer).await?;
        answer.items.push(item);
    }
    Ok(Json(answer))
}

/// The newest root runs of drafts, and how many runs were looked at.
async fn scan(ctx: &CallContext, asked: &PurgeDraftRuns) -> ApiResult<(usize, Vec<String>)> {
    let limit = (asked.limit * 5).min(MAX_SCAN).max(asked.limit);
    let text = |text: &Option<String>| {
        text.clone()
            .filter(|text| !text.is_empty() && !text.contains('\0'))
    };
    let filter = RunFilter {
        session_id: text(&asked.session_id),
        workflow_id: text(&asked.workflow_id),
        root_only: true,
        include_drafts: true,
        limit: usize::try_from(limit).unwrap_or_default(),
        ..RunFilter::default()
    };
    let rows = ctx.store().runs(ctx.scope(), filter).await?;
    let drafts = rows.iter().filter(|row| {
        row.lifecycle
            .as_deref()
            .is_some_and(candidate::is_ephemeral_draft)
    });
    Ok((
        rows.len(),
        drafts.map(|row| row.head.run_id.to_string()).collect(),
    ))
}

async fn one(
    ctx: &CallContext,
    asked: &PurgeDraftRuns,
    id: String,
    default_ttl_s: u64,
    sums: &mut Purged,
) -> ApiResult<Item> {
    let row = match id.trim().parse::<RunId>() {
        Ok(run) => ctx.store().run(ctx.scope(), run).await?,
        Err(_) => None,
    };
    let Some(row) = row else {
        sums.skipped += 1;
        return Ok(Item {
            run_id: id,
            status: None,
            workflow_id: None,
            session_id: None,
            run_lifecycle: None,
            effective_expires_at: None,
            eligible: false,
            reason: Some(Reason::Missing),
            purge: None,
        });
    };
    let Candidate {
        lifecycle,
        expires_at,
        refused,
    } = candidate::judge(&row, default_ttl_s, ctx.now(), asked.force, asked.include_active);
    let mut item = Item {
        run_id: row.head.run_id.to_string(),
        status: Some(row.columns.status.as_str()),
        workflow_id: Some(row.head.workflow_id.to_string()),
        session_id: row.head.session_id.as_deref().map(str::to_owned),
        run_lifecycle: lifecycle,
        effective_expires_at: expires_at,
        eligible: refused.is_none(),
        reason: refused,
        purge: None,
    };
    if refused.is_some() {
        sums.skipped += 1;
        return Ok(item);
    }
    sums.eligible += 1;
    let what = tree::What {
        dry_run: asked.dry_run,
        include_active: asked.include_active,
        artifacts: asked.delete_artifacts,
        workspaces: asked.delete_workspaces,
    };
    let (outcome, active) = tree::purge(ctx, &row, what).await?;
    item.purge = Some(outcome);
    if active {
        item.reason = Some(Reason::ActiveRunTree);
        sums.skipped += 1;
    } else if !asked.dry_run {
        sums.purged += 1;
    }
    Ok(item)
}
