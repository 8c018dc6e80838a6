//! Runs that carry one model call out for a client that waits for it: `call`, then `done` (media contract §1).
//!
//! The client's request makes such a run as a child of the run it addresses and waits for its end. It is a run like any
//! other: a runner takes it, a crash repeats it under the same outbound key, a cancel of the parent's tree reaches it,
//! and a client that gives up leaves it to its end.

use std::{collections::HashMap, sync::Arc};

use ag_effects::Child;
use ag_kernel::{Exception, Interrupt, RunAux, StepEnv, StepPlan, Workflow};
use ag_store::{OwnerRow, Start, StartOutcome, StoreError};
use ag_types::{Effect, EffectKind, Object, RunHead, RunId, RunKey, RunState, RunStatus, TenantScope};
use serde_json::{Value, json};

use crate::{
    seed,
    start::{ACTOR, StartError, Starter},
};

/// Tasks, as they end the workflow ids.
const TASKS: [&str; 10] = [
    "tts",
    "transcription",
    "image_generation",
    "image_edit",
    "image_upscale",
    "text_to_video",
    "image_to_video",
    "text_to_music",
    "lyrics_to_music",
    "text_to_audio",
];
const PREFIX: &str = "wf_abstractcore_run_facade_";

const CALL: &str = "call";
const DONE: &str = "done";
/// Variable that holds the payload until it is called.
const PAYLOAD: &str = "_call";
/// Variable that receives the result, and member of the output.
const RESULT: &str = "result";

/// The workflow.
#[derive(Debug)]
struct Facade;

impl Workflow for Facade {
    fn entry_node(&self) -> &str {
        CALL
    }

    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        match run.current_node.as_str() {
            CALL => {
                let payload = run.vars.get(PAYLOAD).and_then(Value::as_object).cloned();
                let effect = Effect {
                    kind: EffectKind::LlmCall,
                    payload: payload.unwrap_or_default(),
                    result_key: Some(RESULT.to_owned()),
                };
                Ok(StepPlan::effect(effect, Some(DONE.to_owned())))
            }
            DONE => {
                let result = run.vars.get(RESULT).cloned().unwrap_or_default();
                Ok(StepPlan::complete(json!({ RESULT: result })))
            }
            other => Err(Exception::of("KeyError", format!("Unknown node: {other}")).into()),
        }
    }
}

/// All of them by workflow id.
pub(crate) fn natives() -> HashMap<String, Arc<dyn Workflow>> {
    let workflow: Arc<dyn Workflow> = Arc::new(Facade);
    let entry = |task: &str| (format!("{PREFIX}{task}"), Arc::clone(&workflow));
    TASKS.into_iter().map(entry).collect()
}

/// One call for a client.
#[derive(Debug, Clone, Default)]
pub struct CallRequest {
    /// `tts`, `image_edit`, ...: the end of the workflow id.
    pub task: &'static str,
    /// The run it is made for; none for an owner of session files.
    pub parent: Option<RunId>,
    /// Session of that run.
    pub session_id: Option<String>,
    /// The effect's payload.
    pub payload: Object,
    /// `_runtime` of that run, with the request's own provider and model.
    pub runtime: Object,
    /// Owners to create where absent.
    pub owners: Vec<OwnerRow>,
}

impl Starter {
    /// Starts a call; durable when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing was stored then.
    pub async fn start_call(&self, scope: &TenantScope, request: CallRequest) -> Result<RunId, StartError> {
        let deps = self.deps();
        let now = deps.clock.now();
        let run_id = deps.ids.run_id();
        let mut vars = Object::new();
        vars.insert("_runtime".to_owned(), request.runtime.into());
        vars.insert(PAYLOAD.to_owned(), request.payload.into());
        self.seed_model(scope, &mut vars).await;
        let session = request.session_id.unwrap_or_else(|| run_id.to_string());
        let state = RunState {
            head: RunHead {
                run_id,
                workflow_id: format!("{PREFIX}{}", request.task).into(),
                actor_id: Some(ACTOR.into()),
                session_id: Some(session.into()),
                parent_run_id: request.parent,
                created_at: now,
            },
            status: RunStatus::Running,
            current_node: CALL.to_owned(),
            vars,
            waiting: None,
            output: None,
            error: None,
            updated_at: now,
        };
        let child = Child {
            state,
            aux: RunAux::default(),
            bundle_sha256: None,
        };
        let pool = self.pool(None);
        let start = Start {
            key: None,
            generation: None,
            runs: vec![deps.new_child(&pool, &child)],
            artifacts: vec![],
            owners: request.owners,
            memory: vec![],
            mail: vec![],
            now,
        };
        match deps.store.start(scope, start).await? {
            StartOutcome::Created | StartOutcome::Existing(_) => {}
            _ => return Err(StoreError::Unavailable("the call could not be stored".to_owned()).into()),
        }
        let key = RunKey {
            run: run_id,
            plane: scope.plane,
        };
        deps.bell.ring(&pool, &[key]).await;
        Ok(run_id)
    }

    /// Seeds a run without flow like any other root.
    async fn seed_model(&self, scope: &TenantScope, vars: &mut Object) {
        let route = self.defaults().text_route(scope).await;
        let model = ag_kernel::vars::text_at(vars, "_runtime.model").map(str::to_owned);
        let model = model.or_else(|| route.as_ref().map(|(_, model)| model.clone()));
        let limits = self.defaults().limits(model.as_deref());
        seed::root(vars, self.settings(), route.as_ref(), limits);
    }
}
