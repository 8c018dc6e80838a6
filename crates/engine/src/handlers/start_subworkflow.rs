//! `start_subworkflow`: always a child run (kernel spec §8.5, difference X19).

use std::sync::Arc;

use ag_effects::{Answer, Child, EffectClass, EffectCtx, EffectHandler, Failure};
use ag_kernel::{EffectRequest, OpenEffect, Outcome, RunAux, resume::tool_envelope, waits};
use ag_types::{Object, RunHead, RunState, RunStatus, WaitReason};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::seed::{self, ModelDefaults};

/// Variables that a child takes over when it does not set them itself.
const WORKSPACE_KEYS: [&str; 4] = [
    "workspace_root",
    "workspace_access_mode",
    "workspace_allowed_paths",
    "workspace_ignored_paths",
];

/// Deepest nesting of child runs: a flow that starts itself ends here instead of filling the store.
const MAX_DEPTH: u32 = 100;

/// The handler.
pub struct StartSubworkflow {
    defaults: Arc<dyn ModelDefaults>,
}

impl StartSubworkflow {
    /// A handler that seeds children with a plane's model defaults.
    pub fn new(defaults: Arc<dyn ModelDefaults>) -> Self {
        Self { defaults }
    }
}

#[async_trait]
impl EffectHandler for StartSubworkflow {
    fn class(&self) -> EffectClass {
        EffectClass::Inline
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let open = &request.open;
        let flag = |key: &str| open.payload.get(key).is_some_and(ag_pyvalue::truthy);
        let wrap = flag("wrap_as_tool_result");
        let id = open
            .payload
            .get("workflow_id")
            .and_then(Value::as_str)
            .map(str::trim)
            .unwrap_or_default();
        let fail = |text: String| match wrap {
            true => Answer::done(tool_envelope(
                &wrap_details(&open.payload),
                &json!({"output": {"success": false, "error": text}}),
            )),
            false => Answer::failed(text),
        };
        if id.is_empty() {
            return fail("start_subworkflow requires payload.workflow_id".to_owned());
        }
        if ctx.depth >= MAX_DEPTH {
            return fail(format!(
                "Subworkflow nesting is too deep (more than {MAX_DEPTH} levels)"
            ));
        }
        let workflow = match ctx.workflows.resolve(ctx.scope, id, ctx.bundle_sha256).await {
            Ok(Some(workflow)) => workflow,
            Ok(None) => return fail(format!("Workflow '{id}' not found in registry")),
            Err(Failure::Text(text)) => return fail(text),
            Err(failure) => return failure.into(),
        };
        let (state, mut aux) = self
            .child(ctx, open, id, workflow.entry_node, flag("include_traces"))
            .await;
        aux.foreign_types = workflow.unknown_types;
        let child_id = state.head.run_id;
        let child = Child {
            state,
            aux,
            bundle_sha256: workflow.bundle_sha256,
        };
        ag_failpoints::hit_of("child.planned", &[&*ctx.run.head.workflow_id]);
        let outcome = match flag("async") && !flag("wait") {
            true => Outcome::Done {
                result: json!({"sub_run_id": child_id.to_string(), "async": true}),
                state: None,
            },
            false => {
                let mut wait = waits::wait_for(
                    open,
                    WaitReason::Subworkflow,
                    Some(format!("subworkflow:{child_id}")),
                );
                let mut details = Object::new();
                details.insert("sub_run_id".into(), child_id.to_string().into());
                details.insert("sub_workflow_id".into(), id.into());
                details.insert("async".into(), true.into());
                details.insert("include_traces".into(), flag("include_traces").into());
                if wrap {
                    details.extend(wrap_details(&open.payload));
                }
                wait.details = Some(Value::Object(details));
                Outcome::Waiting(wait)
            }
        };
        Answer {
            children: vec![child],
            ..Answer::of(outcome)
        }
    }
}

fn wrap_details(payload: &Object) -> Object {
    let mut details = Object::new();
    details.insert("wrap_as_tool_result".into(), true.into());
    for key in ["tool_name", "call_id"] {
        if let Some(value) = payload.get(key).filter(|value| !value.is_null()) {
            details.insert(key.into(), value.clone());
        }
    }
    details
}

impl StartSubworkflow {
    async fn child(
        &self,
        ctx: &EffectCtx<'_>,
        open: &OpenEffect,
        workflow_id: &str,
        entry: String,
        traces: bool,
    ) -> (RunState, RunAux) {
        let parent = ctx.run;
        let now = ctx.clock.now();
        let mut vars = open
            .payload
            .get("vars")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        inherit_workspace(&parent.vars, &mut vars);
        let route = self.defaults.text_route(ctx.scope).await;
        let model = ag_kernel::vars::text_at(&vars, "_runtime.model").map(str::to_owned);
        let model = model.or_else(|| route.as_ref().map(|(_, model)| model.clone()));
        seed::child(&mut vars, route.as_ref(), self.defaults.limits(model.as_deref()));
        let session = open
            .payload
            .get("session_id")
            .and_then(Value::as_str)
            .map(str::trim);
        let state = RunState {
            head: RunHead {
                run_id: ctx.ids.run_id(),
                workflow_id: workflow_id.into(),
                actor_id: parent.head.actor_id.clone(),
                session_id: match session.filter(|session| !session.is_empty()) {
                    Some(session) => Some(session.into()),
                    None => parent.head.session_id.clone(),
                },
                parent_run_id: Some(parent.head.run_id),
                created_at: now,
            },
            status: RunStatus::Running,
            current_node: entry,
            vars,
            waiting: None,
            output: None,
            error: None,
            updated_at: now,
        };
        (
            state,
            RunAux {
                report_traces: traces,
                depth: ctx.depth + 1,
                ..RunAux::default()
            },
        )
    }
}

fn inherit_workspace(parent: &Object, child: &mut Object) {
    for key in WORKSPACE_KEYS {
        let is_set = |vars: &Object| vars.get(key).is_some_and(ag_pyvalue::truthy);
        if !is_set(child) && is_set(parent) {
            child.insert(key.to_owned(), parent[key].clone());
        }
    }
}
