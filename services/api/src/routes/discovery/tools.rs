//! `GET /discovery/tools`.

use ag_config::{StoreBackend, ToolMode};
use ag_tools::{SourcedTool, Toolbox, catalogue};
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

/// The tools of this node, as an extension of its state.
#[derive(Clone)]
pub struct ToolServices(pub Toolbox);

/// Commands exist where runner and API are one process; on a cluster a pool has to ask for them. Tools of tool servers
/// follow ours.
pub(super) fn items(state: &AppState) -> Vec<Value> {
    let mut items = catalogue::discovery(state.config().store_backend() == StoreBackend::Sqlite);
    if let Some(services) = state.extension::<ToolServices>() {
        items.extend(services.0.sourced().iter().map(SourcedTool::discovery));
    }
    items
}
