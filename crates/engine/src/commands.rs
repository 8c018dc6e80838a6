//! Client commands: who they reach, and what mail they become (architecture D2, runs contract §4).

use std::time::Duration;

use ag_kernel::vars;
use ag_messaging::Control;
use ag_store::{CommandTarget, MailKind, NewCommand, PostOutcome, StoreError};
use ag_telemetry::{
    metrics::{COMMANDS, FOUND_BY_SWEEP, store_operation},
    traces,
};
use ag_types::{Object, RunId, RunKey, TenantScope};
use serde_json::{Value, json};

use crate::{Deps, handlers, mailroom::RUN_HAS_ENDED};

/// Runs of a schedule's tree that a compaction looks at.
const MAX_LOOKED_AT: usize = 200;
/// Attempts to reach a tree that changes under our feet.
const MAX_RESOLVES: usize = 16;

/// Command types in the order of the contract's error text.
pub const COMMAND_TYPES: [&str; 6] = [
    "pause",
    "resume",
    "cancel",
    "emit_event",
    "update_schedule",
    "compact_memory",
];

/// Member of a mail's body that carries trace context.
pub(crate) const TRACEPARENT: &str = "_traceparent";

/// A command as the client sent it.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// Idempotency key.
    pub command_id: String,
    /// Run it names.
    pub run_id: String,
    /// Type, one of [`COMMAND_TYPES`].
    pub kind: String,
    /// Payload.
    pub payload: Object,
    /// The client's time.
    pub ts: Option<String>,
    /// Client.
    pub client_id: Option<String>,
}

/// What the client is told, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReceipt {
    /// False for a repeat.
    pub accepted: bool,
    /// True for a repeat.
    pub duplicate: bool,
    /// Number inside the plane; that of the first posting for a repeat.
    pub seq: i64,
    /// Runs with a holder that has been told of a cancel. After [`CANCEL_TIME`] whoever posted it takes those over whose
    /// holder has not obeyed ([`Deps::take_over`]), sooner than a sweep of the runners would.
    pub held: Vec<RunId>,
}

/// How long a holder may take to obey a cancel, and a little more, because the store's clock decides.
pub const CANCEL_TIME: Duration = Duration::from_millis(1_600);

impl CommandReceipt {
    const fn of(seq: i64, duplicate: bool) -> Self {
        Self {
            accepted: !duplicate,
            duplicate,
            seq,
            held: Vec::new(),
        }
    }
}

/// Why a command was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// No such run (difference X2).
    #[error("Run '{0}' not found")]
    UnknownRun(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets the tick that reads the mail link to the request that posted it.
fn traced(mut target: CommandTarget) -> CommandTarget {
    let carries = target.kind.is_tree() || target.kind.ends_wait();
    if let Some(traceparent) = traces::traceparent().filter(|_| carries)
        && let Some(rest) = target.body.strip_prefix('{')
    {
        let comma = if rest.starts_with('}') { "" } else { "," };
        target.body = format!("{{\"{TRACEPARENT}\":\"{traceparent}\"{comma}{rest}").into();
    }
    target
}

/// A type as a label: what clients make up is not counted apart.
fn metric_kind(kind: &str) -> &'static str {
    COMMAND_TYPES
        .into_iter()
        .find(|known| *known == kind)
        .unwrap_or("other")
}

struct Targets {
    targets: Vec<CommandTarget>,
    outcome: Option<String>,
}

impl Targets {
    fn refused(text: &str) -> Self {
        Self {
            targets: vec![],
            outcome: Some(text.to_owned()),
        }
    }
}

impl Deps {
    /// Stores a command with its mail and wakes whom it reaches; durable when this returns.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was stored then.
    pub async fn post_command(
        &self,
        scope: &TenantScope,
        request: CommandRequest,
    ) -> Result<CommandReceipt, CommandError> {
        if let Some(known) = self.store.command(scope, &request.command_id).await? {
            COMMANDS
                .with([metric_kind(&request.kind), "duplicate"])
                .increment(1);
            return Ok(CommandReceipt::of(known.seq, true));
        }
        for _ in 0..MAX_RESOLVES {
            let targets = self.targets(scope, &request).await?;
            let now = self.clock.now();
            let refused = targets.outcome.is_some();
            let command = NewCommand {
                command_id: request.command_id.clone(),
                run_id: request.run_id.clone(),
                kind: request.kind.clone(),
                payload: Value::Object(request.payload.clone()).to_string(),
                client_id: request.client_id.clone(),
                ts: request.ts.clone().unwrap_or_else(|| now.to_string()),
                now,
                targets: targets.targets.into_iter().map(traced).collect(),
                outcome: targets.outcome,
            };
            let count = |outcome| COMMANDS.with([metric_kind(&request.kind), outcome]).increment(1);
            match store_operation("command", self.store.post_command(scope, command)).await? {
                PostOutcome::Accepted { seq, woken, preempt } => {
                    count(if refused { "refused" } else { "accepted" });
                    ag_failpoints::hit_of("cmd.before_ring", &[&request.kind]);
                    for woken in woken {
                        self.bell.ring(&woken.pool, &[woken.key]).await;
                    }
                    let mut receipt = CommandReceipt::of(seq, false);
                    for (session, run) in preempt {
                        receipt.held.push(run);
                        let key = RunKey {
                            run,
                            plane: scope.plane,
                        };
                        self.bell.control(session, Control::Cancel(key)).await;
                    }
                    ag_failpoints::hit_of("cmd.before_ack", &[&request.kind]);
                    return Ok(receipt);
                }
                PostOutcome::Duplicate { seq } => {
                    count("duplicate");
                    return Ok(CommandReceipt::of(seq, true));
                }
                PostOutcome::Stale => {}
            }
        }
        Err(StoreError::Unavailable("the run tree keeps changing".to_owned()).into())
    }

    /// Takes those of the runs over whose holders ignore a cancel, and wakes others for them; how many those were.
    ///
    /// # Errors
    /// [`StoreError`]; a sweep of the runners does the same later.
    pub async fn take_over(&self, scope: &TenantScope, runs: &[RunId]) -> Result<usize, StoreError> {
        let woken = self.store.take_over(scope, runs).await?;
        FOUND_BY_SWEEP.with(["cancel"]).increment(woken.len() as u64);
        for woken in &woken {
            self.bell.ring(&woken.pool, &[woken.key]).await;
        }
        Ok(woken.len())
    }

    async fn targets(&self, scope: &TenantScope, request: &CommandRequest) -> Result<Targets, CommandError> {
        if request.kind == "emit_event" {
            return self.event_targets(scope, request).await;
        }
        let unknown = || CommandError::UnknownRun(request.run_id.clone());
        let run: RunId = request.run_id.trim().parse().map_err(|_| unknown())?;
        let row = self.store.run(scope, run).await?.ok_or_else(unknown)?;
        let terminal = row.columns.status.is_terminal();
        let one = |run: RunId, kind: MailKind, body: Value| CommandTarget {
            run,
            kind,
            body: body.to_string().into(),
        };
        let payload = &request.payload;
        match request.kind.as_str() {
            "resume" if payload.contains_key("payload") => {
                if terminal {
                    return Ok(Targets::refused(RUN_HAS_ENDED));
                }
                let key = payload
                    .get("wait_key")
                    .or_else(|| payload.get("waitKey"))
                    .cloned();
                let body = json!({"wait_key": key, "payload": payload.get("payload")});
                Ok(Targets {
                    targets: vec![one(run, MailKind::Resume, body)],
                    outcome: None,
                })
            }
            kind @ ("pause" | "resume" | "cancel") => {
                let kind = match kind {
                    "pause" => MailKind::Pause,
                    "cancel" => MailKind::Cancel,
                    _ => MailKind::Unpause,
                };
                let reason = payload.get("reason").filter(|reason| reason.is_string());
                let mut body = json!({"reason": reason});
                if kind == MailKind::Unpause {
                    body["trigger"] = true.into();
                }
                let runs = match terminal {
                    true => self.store.live_below(scope, run).await?,
                    false => vec![run],
                };
                let targets: Vec<CommandTarget> =
                    runs.into_iter().map(|run| one(run, kind, body.clone())).collect();
                let outcome = targets.is_empty().then(|| RUN_HAS_ENDED.to_owned());
                Ok(Targets { targets, outcome })
            }
            "update_schedule" => {
                let root = self.schedule_root(scope, run).await?;
                let row = self.store.run(scope, root).await?.ok_or_else(unknown)?;
                if row.columns.status.is_terminal() {
                    return Ok(Targets::refused(RUN_HAS_ENDED));
                }
                let mut body = Value::Object(payload.clone());
                body["requested_run_id"] = request.run_id.as_str().into();
                Ok(Targets {
                    targets: vec![one(root, MailKind::UpdateSchedule, body)],
                    outcome: None,
                })
            }
            _ => match self.compact_target(scope, run, payload).await? {
                Err(refusal) => Ok(Targets::refused(&refusal)),
                Ok((root, target)) => {
                    let mut body = payload.clone();
                    body.shift_remove("target_run_id");
                    body.insert("requested_run_id".to_owned(), request.run_id.as_str().into());
                    body.insert("root_run_id".to_owned(), root.to_string().into());
                    Ok(Targets {
                        targets: vec![one(target, MailKind::CompactMemory, Value::Object(body))],
                        outcome: None,
                    })
                }
            },
        }
    }

    /// Whose conversation a compaction in a schedule's tree means: the named run, else the first with messages among
    /// the root, what it waits for, and its descendants, the newest first. The inner error is the refusal.
    async fn compact_target(
        &self,
        scope: &TenantScope,
        run: RunId,
        payload: &Object,
    ) -> Result<Result<(RunId, RunId), String>, CommandError> {
        let root = self.schedule_root(scope, run).await?;
        let refused = |text: &str| Ok(Err(text.to_owned()));
        let Some(top) = self.store.run(scope, root).await? else {
            return refused(RUN_HAS_ENDED);
        };
        let vars: Object = serde_json::from_str(&top.columns.vars).unwrap_or_default();
        if vars::text_at(&vars, "_meta.schedule.kind") != Some("scheduled_run") {
            return refused(
                "compact_memory is only supported for scheduled runs (or runs inside a scheduled run tree)",
            );
        }
        let named = payload.get("target_run_id").and_then(ag_pyvalue::opt_str);
        let mut candidates: Vec<RunId> = Vec::new();
        match named {
            Some(id) => match id.parse() {
                Ok(id) => candidates.push(id),
                Err(_) => return refused(&format!("Run '{id}' not found")),
            },
            None => {
                candidates.extend(self.wait_chain(scope, root).await?);
                let mut below = self.store.descendants(scope, root, MAX_LOOKED_AT).await?;
                below.sort_by_key(|run| std::cmp::Reverse((run.head.created_at, run.head.run_id)));
                candidates.extend(below.iter().map(|run| run.head.run_id));
            }
        }
        let is_named = payload.contains_key("target_run_id") && candidates.len() == 1;
        for id in candidates {
            let Some(row) = self.store.run(scope, id).await? else {
                if is_named {
                    return refused(&format!("Run '{id}' not found"));
                }
                continue;
            };
            let vars: Object = serde_json::from_str(&row.columns.vars).unwrap_or_default();
            let messages = vars::get_path(&vars, "context.messages").and_then(Value::as_array);
            let has_messages = messages.is_some_and(|messages| !messages.is_empty());
            if !is_named && !has_messages {
                continue;
            }
            return match row.columns.status.is_terminal() {
                true => refused(RUN_HAS_ENDED),
                false => Ok(Ok((root, id))),
            };
        }
        refused("No compactable run found (no context.messages in the scheduled run tree)")
    }

    /// A run, the child it waits for, that one's child, and so on.
    async fn wait_chain(&self, scope: &TenantScope, root: RunId) -> Result<Vec<RunId>, CommandError> {
        let mut chain = vec![root];
        let mut current = root;
        while chain.len() < MAX_LOOKED_AT {
            let Some(row) = self.store.run(scope, current).await? else {
                break;
            };
            let wait: Option<Value> = row
                .columns
                .wait
                .as_deref()
                .and_then(|wait| serde_json::from_str(wait).ok());
            let child = wait
                .as_ref()
                .and_then(|wait| wait.pointer("/details/sub_run_id")?.as_str());
            match child.and_then(|id| id.parse().ok()) {
                Some(child) if !chain.contains(&child) => {
                    chain.push(child);
                    current = child;
                }
                _ => break,
            }
        }
        Ok(chain)
    }

    /// The topmost ancestor, which for a run of a schedule is the schedule's parent run.
    async fn schedule_root(&self, scope: &TenantScope, run: RunId) -> Result<RunId, CommandError> {
        let mut current = run;
        // Trees are shallow; the bound only protects against a damaged parent chain.
        for _ in 0..1_024 {
            match self
                .store
                .run(scope, current)
                .await?
                .and_then(|row| row.head.parent_run_id)
            {
                Some(parent) => current = parent,
                None => break,
            }
        }
        Ok(current)
    }

    /// An external event: exactly the key, no wildcard (kernel spec §8.4).
    async fn event_targets(
        &self,
        scope: &TenantScope,
        request: &CommandRequest,
    ) -> Result<Targets, CommandError> {
        let payload = &request.payload;
        let text = |keys: &[&str]| {
            let found = keys
                .iter()
                .find_map(|key| payload.get(*key).and_then(Value::as_str));
            found
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let Some(name) = text(&["name"]) else {
            return Ok(Targets::refused("emit_event requires payload.name"));
        };
        let event_scope = text(&["scope"]).map_or_else(|| "session".to_owned(), |scope| scope.to_lowercase());
        let session = text(&["session_id", "sessionId"]).unwrap_or_else(|| request.run_id.clone());
        let id = match event_scope.as_str() {
            "session" => Some(session.clone()),
            "workflow" => text(&["workflow_id", "workflowId"]),
            "run" => text(&["run_id", "runId"]),
            "global" => Some("global".to_owned()),
            other => return Ok(Targets::refused(&format!("unknown event scope: '{other}'"))),
        };
        let Some(id) = id else {
            return Ok(Targets::refused(&format!(
                "missing scope id for scope='{event_scope}'"
            )));
        };
        let envelope = json!({
            "event_id": text(&["event_id", "eventId"]),
            "name": name,
            "scope": event_scope,
            "session_id": session,
            "payload": handlers::event_payload(payload.get("payload")),
            "emitted_at": text(&["emitted_at", "emittedAt"]),
            "emitter": {"source": "external", "client_id": request.client_id},
        });
        let key = format!("evt:{event_scope}:{id}:{name}");
        let listeners = self.store.listeners(scope, &key).await?;
        let targets = listeners
            .iter()
            .map(|listener| {
                let mail = handlers::event_mail(listener, &envelope);
                CommandTarget {
                    run: mail.to,
                    kind: mail.kind,
                    body: mail.body,
                }
            })
            .collect();
        Ok(Targets {
            targets,
            outcome: None,
        })
    }
}
