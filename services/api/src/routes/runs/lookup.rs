//! Runs by the ids clients give, which may also name an owner of memory (architecture D2a).

use ag_store::{OwnerRow, RunRow};
use ag_types::RunId;

use crate::{ApiError, ApiResult, CallContext};

/// Workflow of the owners that look like runs.
pub(super) const SESSION_MEMORY: &str = "__session_memory__";
/// The same for the owner of global memory.
pub(super) const GLOBAL_MEMORY: &str = "__global_memory__";

/// What an id names.
pub(super) enum Subject {
    /// A run.
    Run(Box<RunRow>),
    /// An owner of memory: completed from birth, without records.
    Owner(OwnerRow),
}

/// Finds what an id names.
///
/// # Errors
/// 404 for what is absent or belongs to another plane.
pub(super) async fn subject(ctx: &CallContext, run_id: &str) -> ApiResult<Subject> {
    let found = match run_id.parse::<RunId>() {
        Ok(run) => ctx
            .store()
            .run(ctx.scope(), run)
            .await?
            .map(|row| Subject::Run(Box::new(row))),
        Err(_) => owner(ctx, run_id).await?.map(Subject::Owner),
    };
    found.ok_or_else(|| ApiError::no_run(run_id))
}

/// Finds an owner. Ids with U+0000 name nothing, and databases refuse to look for them.
pub(super) async fn owner(ctx: &CallContext, id: &str) -> ApiResult<Option<OwnerRow>> {
    if id.is_empty() || id.contains('\0') {
        return Ok(None);
    }
    Ok(ctx.store().owner(ctx.scope(), id).await?)
}

/// Workflow id of an owner.
pub(super) fn owner_workflow(owner: &OwnerRow) -> &'static str {
    match owner.owner_id.starts_with("session_memory_") {
        true => SESSION_MEMORY,
        false => GLOBAL_MEMORY,
    }
}
