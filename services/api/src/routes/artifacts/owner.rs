//! Who artifacts belong to: runs, and the owners of session files that clients may name like runs.

use ag_artifacts::session_memory_run_id;
use ag_store::OwnerRow;
use ag_types::RunId;

use crate::{ApiError, ApiResult, CallContext};

const SESSION_MEMORY: &str = "session_memory_";

/// A run or an owner of session files.
pub(in crate::routes) struct Owner {
    pub(in crate::routes) id: String,
    pub(in crate::routes) session_id: Option<String>,
}

/// What a `run_id` of a path means. The owner of a session's files is made where it is missing.
///
/// # Errors
/// 404 `Run '<id>' not found`.
pub(in crate::routes) async fn owner(ctx: &CallContext, run_id: &str) -> ApiResult<Owner> {
    if let Ok(id) = run_id.parse::<RunId>() {
        let run = ctx
            .store()
            .run(ctx.scope(), id)
            .await?
            .ok_or_else(|| ApiError::no_run(run_id))?;
        let session_id = run.head.session_id.as_deref().map(str::to_owned);
        return Ok(Owner {
            id: run_id.to_owned(),
            session_id,
        });
    }
    if let Some(session) = run_id.strip_prefix(SESSION_MEMORY)
        && ag_artifacts::is_artifact_id(session)
    {
        // The digest of a long session id does not say which session it was.
        let session = (!session.starts_with("sha_")).then(|| session.to_owned());
        let row = ensure(ctx, run_id.to_owned(), session).await?;
        return Ok(Owner {
            id: row.owner_id,
            session_id: row.session_id,
        });
    }
    // Databases refuse to look for an id with U+0000.
    let found = match run_id.contains('\0') {
        true => None,
        false => ctx.store().owner(ctx.scope(), run_id).await?,
    };
    let row = found.ok_or_else(|| ApiError::no_run(run_id))?;
    Ok(Owner {
        id: row.owner_id,
        session_id: row.session_id,
    })
}

/// The owner of a session's files, made where it is missing.
///
/// # Errors
/// 400 for an id with U+0000.
pub(super) async fn session_owner(ctx: &CallContext, session_id: &str) -> ApiResult<Owner> {
    if session_id.contains('\0') {
        return Err(ApiError::bad_request("session_id must not contain NUL"));
    }
    let row = ensure(
        ctx,
        session_memory_run_id(session_id),
        Some(session_id.to_owned()),
    )
    .await?;
    Ok(Owner {
        id: row.owner_id,
        session_id: Some(session_id.to_owned()),
    })
}

async fn ensure(ctx: &CallContext, owner_id: String, session_id: Option<String>) -> ApiResult<OwnerRow> {
    let now = ctx.now();
    let row = OwnerRow {
        owner_id,
        session_id,
        created_at: now,
        updated_at: now,
    };
    Ok(ctx.store().ensure_owner(ctx.scope(), row).await?)
}
