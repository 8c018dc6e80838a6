//! One server: its connection, its list of tools, its calls.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ag_tools::{SourceAnswer, SourcedTool, ToolCall, ToolContext, ToolSource};
use async_trait::async_trait;
use parking_lot::RwLock;
use rmcp::RoleClient;
use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequestParams, CancelledNotificationParam, ClientRequest, PaginatedRequestParams, Request,
    RequestId, ServerResult, Tool,
};
use rmcp::service::{Peer, PeerRequestOptions};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::output::output;
use crate::transport::{Connection, connect, short};

/// Tools of one server that are offered.
const MAX_TOOLS: usize = 256;
/// Pages of a list.
const MAX_PAGES: usize = 32;
/// Until a list is there.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at a server that answers.
const REFRESH: Duration = Duration::from_secs(300);
/// Longest pause between two tries to reach one that does not.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// A server of the configuration.
pub struct McpServer {
    config: ServerConfig,
    prefix: String,
    variables: Vec<(String, String)>,
    tools: RwLock<Vec<SourcedTool>>,
    connection: Mutex<Option<Connection>>,
}

impl std::fmt::Debug for McpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpServer")
            .field("name", &self.config.name)
            .field("tools", &self.tools.read().len())
            .finish_non_exhaustive()
    }
}

impl McpServer {
    /// A server that nothing is known about yet. `variables` is the harmless part of the service's environment, for
    /// child processes.
    #[must_use]
    pub fn new(config: ServerConfig, variables: Vec<(String, String)>) -> Self {
        Self {
            prefix: format!("mcp::{}::", config.name),
            config,
            variables,
            tools: RwLock::default(),
            connection: Mutex::new(None),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Asks for the tools, connecting first where needed.
    ///
    /// # Errors
    /// Why there is no list; the one known before stays.
    pub async fn refresh(&self) -> Result<usize, String> {
        let peer = self.peer().await?;
        let listing = tokio::time::timeout(LIST_TIMEOUT, list(&peer));
        let found = match listing.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.forget_if_broken(&error).await;
                return Err(short(&error));
            }
            Err(_) => return Err(format!("no list within {} s", LIST_TIMEOUT.as_secs())),
        };
        let mut tools: Vec<SourcedTool> = found.into_iter().filter_map(|tool| self.sourced(tool)).collect();
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools.dedup_by(|a, b| a.name == b.name);
        tools.truncate(MAX_TOOLS);
        let count = tools.len();
        *self.tools.write() = tools;
        Ok(count)
    }

    /// Keeps the list up to date until `stop`: looks again every few minutes, and sooner, with growing pauses, while
    /// the server does not answer.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let weak: Weak<Self> = Arc::downgrade(&self);
        drop(self);
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            let Some(server) = weak.upgrade() else { break };
            pause = match server.refresh().await {
                Ok(tools) => {
                    tracing::debug!(mcp.server = server.name(), tools, "MCP tools listed");
                    REFRESH
                }
                Err(error) => {
                    tracing::warn!(mcp.server = server.name(), %error, "MCP server cannot be listed");
                    match pause {
                        Duration::ZERO | REFRESH => Duration::from_secs(1),
                        last => (last * 2).min(MAX_BACKOFF),
                    }
                }
            };
        }
        if let Some(server) = weak.upgrade() {
            server.close().await;
        }
    }

    /// Ends the connection; a child process ends with it.
    pub async fn close(&self) {
        let open = self.connection.lock().await.take();
        if let Some(mut open) = open {
            let _ = open.service.close_with_timeout(Duration::from_secs(2)).await;
        }
    }

    fn sourced(&self, tool: Tool) -> Option<SourcedTool> {
        let allowed = |names: &Vec<String>| names.iter().any(|name| *name == tool.name);
        if !self.config.tools.as_ref().is_none_or(allowed) || tool.name.is_empty() || tool.name.len() > 128 {
            return None;
        }
        Some(SourcedTool {
            name: format!("{}{}", self.prefix, tool.name),
            description: tool
                .description
                .or(tool.title.map(Into::into))
                .unwrap_or_default()
                .into_owned(),
            schema: Value::Object(tool.input_schema.as_ref().clone()),
            toolset: format!("mcp:{}", self.config.name),
        })
    }

    /// An open connection.
    async fn peer(&self) -> Result<Peer<RoleClient>, String> {
        let mut slot = self.connection.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.is_open()) {
            return Ok(open.service.peer().clone());
        }
        *slot = None;
        let open = connect(&self.config, &self.variables).await?;
        let peer = open.service.peer().clone();
        *slot = Some(open);
        Ok(peer)
    }

    async fn forget_if_broken(&self, error: &ServiceError) {
        if matches!(
            error,
            ServiceError::TransportClosed | ServiceError::TransportSend(_)
        ) {
            *self.connection.lock().await = None;
        }
    }
}

async fn list(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, ServiceError> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let params = cursor
            .take()
            .map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let page = peer.list_tools(params).await?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() || tools.len() >= MAX_TOOLS {
            break;
        }
    }
    Ok(tools)
}

#[async_trait]
impl ToolSource for McpServer {
    fn owns(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
    }

    fn tools(&self) -> Vec<SourcedTool> {
        self.tools.read().clone()
    }

    fn auto_approved(&self) -> Vec<String> {
        let names = self.config.auto_approve.iter();
        names.map(|name| format!("{}{name}", self.prefix)).collect()
    }

    /// A tool that is not in the list is not called: the list is the operator's, and a name that a model made up must
    /// not reach the server.
    async fn call(&self, call: &ToolCall, ctx: &ToolContext) -> Result<SourceAnswer, String> {
        let unknown = || format!("Tool '{}' not found", call.name);
        let name = call.name.strip_prefix(&self.prefix).ok_or_else(unknown)?;
        let server = &self.config.name;
        let known = || self.tools.read().iter().any(|tool| tool.name == call.name);
        if !known() {
            // Not listed yet, or new.
            self.refresh()
                .await
                .map_err(|error| format!("MCP server '{server}' cannot be reached: {error}"))?;
            if !known() {
                return Err(unknown());
            }
        }
        let peer = self
            .peer()
            .await
            .map_err(|error| format!("MCP server '{server}' cannot be reached: {error}"))?;
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(call.arguments.clone());
        let request = ClientRequest::CallToolRequest(Request::new(params));
        // The server is told when the time is over; the caller's own limit drops this future before.
        let options = PeerRequestOptions::with_timeout(self.config.timeout);
        let sent = peer.send_cancellable_request(request, options).await;
        let handle = match sent {
            Ok(handle) => handle,
            Err(error) => {
                self.forget_if_broken(&error).await;
                return Err(format!("MCP server '{server}': {}", short(&error)));
            }
        };
        let (id, told) = (handle.id.clone(), peer.clone());
        let mut guard = Untold {
            id: Some(id),
            peer: told,
        };
        let answer = tokio::select! {
            // The caller gives up: so shall the server.
            () = ctx.cancel.cancelled() => return Err("Tool call cancelled".to_owned()),
            answer = handle.await_response() => answer,
        };
        guard.id = None;
        match answer {
            Ok(ServerResult::CallToolResult(result)) => output(result),
            Ok(_) => Err(format!(
                "MCP server '{server}' asked for something in return, which is not supported"
            )),
            Err(ServiceError::Timeout { timeout }) => {
                Err(format!("Tool timeout after {}s", timeout.as_secs_f64()))
            }
            Err(ServiceError::McpError(error)) => {
                Err(format!("MCP server '{server}': {}", short(&error.message)))
            }
            Err(error) => {
                self.forget_if_broken(&error).await;
                Err(format!(
                    "MCP server '{server}' broke off, the call may have been carried out: {}",
                    short(&error)
                ))
            }
        }
    }
}

/// Tells the server that an answer is not waited for any more, whatever ended the wait.
struct Untold {
    id: Option<RequestId>,
    peer: Peer<RoleClient>,
}

impl Drop for Untold {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let peer = self.peer.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let reason = "the call was given up".to_owned();
                let params = CancelledNotificationParam::new(Some(id), Some(reason));
                let _ = peer.notify_cancelled(params).await;
            });
        }
    }
}
