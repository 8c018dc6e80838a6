//! From a client's `input_data` to run variables (runs contract §2, "Input preparation").

mod artifact_refs;
mod attachments;
mod scope;

use ag_kernel::vars;
use ag_store::OwnerRow;
use ag_types::Object;
use serde_json::Value;

use crate::{ApiResult, CallContext};

/// Variables of a new run, and the owners it needs.
pub(super) struct Prepared {
    pub(super) vars: Object,
    pub(super) owners: Vec<OwnerRow>,
}

/// Steps that starts and schedules share: policy, workspace clamp, attachments, session memory, artifact references.
pub(super) async fn input(ctx: &CallContext, given: Object, session: Option<&str>) -> ApiResult<Prepared> {
    let mut vars = given;
    if let Some(Value::Object(runtime)) = vars.get_mut("_runtime") {
        runtime.shift_remove("workflow_policy");
    }
    let mut vars = scope::clamp(ctx.state().config(), vars).await?;
    attachments::merge(&mut vars);
    artifact_refs::check(ctx, &vars, session).await?;
    let now = ctx.now();
    let owners = session.map(|session| OwnerRow {
        owner_id: ag_artifacts::session_memory_run_id(session),
        session_id: Some(session.to_owned()),
        created_at: now,
        updated_at: now,
    });
    Ok(Prepared {
        vars,
        owners: owners.into_iter().collect(),
    })
}

/// `thinking` → `_runtime.thinking`; blank texts say nothing.
pub(super) fn thinking(run_vars: &mut Object, given: Option<Value>) {
    let value = match given {
        Some(Value::String(text)) => match text.trim() {
            "" => return,
            text => Value::from(text),
        },
        Some(value) => value,
        None => return,
    };
    vars::object_at(run_vars, "_runtime").insert("thinking".to_owned(), value);
}

/// `run_lifecycle` → `_run_lifecycle`, sanitised; what a client puts there by hand is sanitised as well.
pub(super) fn lifecycle(run_vars: &mut Object, given: Option<Object>) {
    let given = given
        .map(Value::Object)
        .or_else(|| run_vars.shift_remove("_run_lifecycle"));
    run_vars.shift_remove("_run_lifecycle");
    if let Some(lifecycle) = given.as_ref().and_then(ag_engine::lifecycle::sanitise) {
        run_vars.insert("_run_lifecycle".to_owned(), Value::Object(lifecycle));
    }
}

/// Chooses the workspace of a run that brought none. The directory is made by whoever uses it first (D17).
pub(super) fn workspace_root(ctx: &CallContext, run_vars: &mut Object) {
    let given = run_vars
        .get("workspace_root")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.trim().is_empty());
    if !given {
        let root = ctx.state().config().workspaces_root().join(ctx.ids().hex32());
        let root = std::path::absolute(&root).unwrap_or(root);
        run_vars.insert("workspace_root".to_owned(), root.to_string_lossy().into());
    }
}
