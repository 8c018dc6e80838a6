//! `POST /runs/{run_id}/workspace/open`: only of use where a person sits at the host.

use super::{
    lookup::{self, Subject},
    summary::OneRun,
    vars::Reserved,
};
use crate::{ApiError, ApiResult, CallContext, Input};

/// Answers why the folder is not opened: this server has no desktop.
pub(super) async fn open_run_workspace(ctx: CallContext, Input(asked): Input<OneRun>) -> ApiResult<()> {
    ctx.require_admin()?;
    let root = match lookup::subject(&ctx, &asked.run_id).await? {
        Subject::Run(row) => Reserved::read(&row.columns.vars).workspace_root(),
        Subject::Owner(_) => None,
    };
    let root = root.ok_or_else(|| ApiError::conflict("Run does not have a workspace_root"))?;
    match tokio::fs::metadata(&root).await {
        Err(_) => Err(ApiError::not_found(format!(
            "Run workspace does not exist: {root}"
        ))),
        Ok(found) if !found.is_dir() => Err(ApiError::conflict(format!(
            "Run workspace is not a directory: {root}"
        ))),
        Ok(_) => Err(ApiError::not_implemented(
            "No supported directory opener found on this Gateway host",
        )),
    }
}
