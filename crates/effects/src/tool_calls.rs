//! `tool_calls`: batches of tools (effects spec §2, provider contract §8).
//!
//! The order of work: take the batch apart, answer what the runtime answers itself, then let the host's tool mode
//! decide over the rest: run it now, wait for a person, or wait for an outside worker.

mod files;
mod media;
mod run;
mod settle;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use ag_kernel::{EffectRequest, Outcome, VarChange, aux::ApprovedBatch, waits::wait_for};
use ag_outbound::OutboundClient;
use ag_store::{ArtifactRow, MemoryRow, OwnerRow};
use ag_tools::{
    ToolCall, ToolContext, ToolResult, Toolbox,
    batch::{self, Batch},
    mode::{Decision, ToolMode},
    workspace::WorkspacePolicy,
};
use ag_types::{Object, Wait, WaitReason};
use async_trait::async_trait;
use serde_json::Value;

use crate::{
    attachments::{self, SessionFiles},
    evidence,
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure, Tools, ToolsDone},
    workspaces::Workspaces,
};

/// Text of an output in the state; larger ones become attachments.
const MAX_INLINE_OUTPUT_BYTES: usize = 256 * 1024;

/// What the tools of a host may do.
#[derive(Clone)]
pub struct ToolSettings {
    /// Who decides that a call runs.
    pub mode: ToolMode,
    /// Limit of one call.
    pub timeout: Duration,
    /// For `fetch_url`.
    pub http: OutboundClient,
    /// Workspaces of runs.
    pub workspaces: Workspaces,
    /// Host limit of one attachment in bytes.
    pub max_attachment_bytes: u64,
    /// Output texts above this many bytes are replaced by a stub that names the attachment.
    pub max_inline_bytes: usize,
}

impl ToolSettings {
    /// The contract's limits.
    pub fn new(mode: ToolMode, http: OutboundClient, workspaces: Workspaces) -> Self {
        Self {
            mode,
            timeout: ToolContext::DEFAULT_TIMEOUT,
            http,
            workspaces,
            max_attachment_bytes: attachments::MAX_ATTACHMENT_BYTES,
            max_inline_bytes: MAX_INLINE_OUTPUT_BYTES,
        }
    }
}

/// The handler of `tool_calls`, and of the batches that were approved.
#[derive(Clone)]
pub struct ToolCallsEffect {
    toolbox: Toolbox,
    settings: ToolSettings,
}

/// What a batch leaves behind besides its result.
#[derive(Debug, Default)]
struct Side {
    changes: Vec<VarChange>,
    memory: Vec<MemoryRow>,
    artifacts: Vec<ArtifactRow>,
    owners: Vec<OwnerRow>,
}

impl ToolCallsEffect {
    /// Over the tools of this process.
    pub fn new(toolbox: Toolbox, settings: ToolSettings) -> Self {
        Self { toolbox, settings }
    }

    async fn policy(&self, ctx: &EffectCtx<'_>) -> Result<Arc<WorkspacePolicy>, String> {
        let (workspaces, run) = (self.settings.workspaces.clone(), ctx.run.head.run_id);
        let settings = Workspaces::settings(&ctx.run.vars);
        let made = tokio::task::spawn_blocking(move || workspaces.policy(&settings, run)).await;
        made.map_err(|error| format!("Tool execution failed: {error}"))?
            .map(Arc::new)
    }

    /// Takes the batch apart; the workspace rules look at the file system.
    async fn split(&self, payload: &Object, policy: &Arc<WorkspacePolicy>) -> Result<Batch, String> {
        let calls = payload.get("tool_calls").and_then(Value::as_array);
        let calls = calls
            .ok_or("tool_calls requires payload.tool_calls (list)")?
            .clone();
        let allowed = payload
            .get("allowed_tools")
            .and_then(Value::as_array)
            .map(|names| {
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect::<Vec<String>>()
            });
        let policy = Arc::clone(policy);
        tokio::task::spawn_blocking(move || Batch::split(&calls, allowed.as_deref(), Some(&policy)))
            .await
            .map_err(|error| format!("Tool execution failed: {error}"))
    }

    fn tool_context(&self, ctx: &EffectCtx<'_>, policy: &Arc<WorkspacePolicy>) -> ToolContext {
        ToolContext {
            workspace: Arc::clone(policy),
            cancel: ctx.cancel.clone(),
            timeout: self.settings.timeout,
            http: self.settings.http.clone(),
            timestamp: ctx.clock.now().to_string(),
        }
    }

    async fn attempt(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Result<Answer, Failure> {
        let open = &request.open;
        if !open.payload.get("tool_calls").is_some_and(Value::is_array) {
            return Err("tool_calls requires payload.tool_calls (list)".into());
        }
        let policy = self.policy(ctx).await?;
        let mut batch = self.split(&open.payload, &policy).await?;
        let limit = attachments::max_bytes(&open.payload, &ctx.run.vars, self.settings.max_attachment_bytes);
        let session = ctx.run.head.session_id.as_deref();
        let files = SessionFiles::new(ctx.store, ctx.blobs, ctx.scope, session, limit);
        let mut side = Side::default();
        files::answer_by_runtime(&files, &mut batch, &mut side).await?;
        let trusted = self.toolbox.auto_approved();
        let outcome = match self.settings.mode.decide(batch.pending.values(), &trusted) {
            Decision::AwaitApproval => {
                let key = format!("tool_approval:{}", ctx.ids.hex32());
                waiting(
                    open,
                    WaitReason::User,
                    key,
                    batch.approval_details(self.settings.mode, &trusted),
                )
            }
            Decision::Delegate => {
                let key = format!("tool_calls:{}:{}", ctx.run.head.run_id, open.node_id);
                waiting(open, WaitReason::Job, key, batch.delegated_details())
            }
            Decision::Execute => {
                let calls: Vec<ToolCall> = batch.pending.values().cloned().collect();
                let mut results = run::all(&self.toolbox, &calls, &self.tool_context(ctx, &policy)).await;
                let keeper = files::Keeper {
                    ctx,
                    files: &files,
                    policy: &policy,
                    limit,
                    settings: &self.settings,
                };
                for ((index, call), result) in batch.pending.iter().zip(&mut results) {
                    if call.name == "read_file" {
                        let asked = open.payload["tool_calls"].get(*index);
                        keeper.after_read(call, asked, result, &mut side).await;
                    }
                }
                media::keep(ctx, &mut results, limit, &mut side).await;
                let results = results.into_iter().map(ToolResult::into_value).collect();
                let stored = batch::executed(batch.merge(results));
                let captured = evidence::capture(ctx, &arguments_of(&batch), &stored).await;
                side.changes.extend(captured.changes);
                side.memory.extend(captured.memory);
                side.artifacts.extend(captured.artifacts);
                Outcome::Done {
                    result: stored,
                    state: captured.state,
                }
            }
        };
        let mut answer = Answer::of(outcome);
        answer.changes = side.changes;
        answer.artifacts = side.artifacts;
        answer.owners = side.owners;
        answer.memory = side.memory;
        Ok(answer)
    }
}

fn waiting(open: &ag_kernel::OpenEffect, reason: WaitReason, key: String, details: Object) -> Outcome {
    let mut wait = wait_for(open, reason, Some(key));
    wait.details = Some(Value::Object(details));
    Outcome::Waiting(wait)
}

/// The calls in their order, for evidence; those that were refused have no arguments.
fn arguments_of(batch: &Batch) -> Vec<Value> {
    (0..batch.original_call_count)
        .map(|index| {
            batch
                .pending
                .get(&index)
                .map(ToolCall::to_value)
                .unwrap_or_default()
        })
        .collect()
}

#[async_trait]
impl EffectHandler for ToolCallsEffect {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.attempt(ctx, request).await.unwrap_or_else(Answer::from)
    }
}

#[async_trait]
impl Tools for ToolCallsEffect {
    /// Also takes the answers that [`Tools::settle`] left to it because they hold evidence.
    async fn run_approved(&self, ctx: &EffectCtx<'_>, batch: &ApprovedBatch) -> ToolsDone {
        let empty = Object::new();
        let details = batch
            .wait
            .details
            .as_ref()
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let mut side = Side::default();
        let stored = match settle::stored(&batch.wait, &batch.payload) {
            Some(stored) => stored,
            None => {
                let calls = batch::waiting_calls(details);
                let mut results = match self.policy(ctx).await {
                    Ok(policy) => run::all(&self.toolbox, &calls, &self.tool_context(ctx, &policy)).await,
                    Err(error) => {
                        let text = format!("Tool execution failed: {error}");
                        calls
                            .iter()
                            .map(|call| ToolResult::failure(call, text.clone()))
                            .collect()
                    }
                };
                let limit = attachments::max_bytes(&empty, &ctx.run.vars, self.settings.max_attachment_bytes);
                media::keep(ctx, &mut results, limit, &mut side).await;
                let results = results.into_iter().map(ToolResult::into_value).collect();
                batch::executed(batch::merge_waiting(details, results))
            }
        };
        let calls = ["tool_calls_for_evidence", "tool_calls"]
            .iter()
            .find_map(|key| details.get(*key)?.as_array());
        let captured = evidence::capture(ctx, calls.map_or(&[], Vec::as_slice), &stored).await;
        side.changes.extend(captured.changes);
        side.artifacts.extend(captured.artifacts);
        ToolsDone {
            stored,
            state: captured.state,
            changes: side.changes,
            artifacts: side.artifacts,
            owners: Vec::new(),
            memory: captured.memory,
        }
    }

    /// `None` also for answers that hold evidence: storing it is work for [`Tools::run_approved`].
    fn settle(&self, wait: &Wait, payload: &Value) -> Option<Value> {
        settle::stored(wait, payload).filter(|stored| !evidence::has_evidence(stored))
    }
}
