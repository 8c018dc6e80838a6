//! `GET /discovery/tools`.

use ag_config::{StoreBackend, ToolMode};
use ag_tools::catalogue;
use axum::Json;
use serde::Serialize;
use serde_json::Value;

use crate::{AppState, CallContext};

#[derive(Serialize)]
pub(super) struct Tools {
    items: Vec<Value>,
    tool_mode: &'static str,
}

pub(super) async fn list_tools(ctx: CallContext) -> Json<Tools> {
    let tool_mode = match ctx.state().config().execution.mode() {
        ToolMode::Approval => "approval",
        ToolMode::Passthrough => "passthrough",
        ToolMode::Delegated => "delegated",
        ToolMode::Local => "local",
        ToolMode::LocalAll => "local_all",
    };
    Json(Tools {
        items: items(ctx.state()),
        tool_mode,
    })
}

/// Commands exist where runner and API are one process; on a cluster a pool has to ask for them.
pub(super) fn items(state: &AppState) -> Vec<Value> {
    catalogue::discovery(state.config().store_backend() == StoreBackend::Sqlite)
}
