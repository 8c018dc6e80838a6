//! The tool servers of this process: named by a file, connected to while the process serves.

use std::{sync::Arc, time::Duration};

use ag_config::{Config, EnvSource};
use ag_mcp::{McpConfig, McpServer};
use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

/// The file's name in the data directory, where the configuration names none.
const DEFAULT_FILE: &str = "mcp.json";

/// What a child process may know of this one's environment: nothing that could be a credential.
const VARIABLES: [&str; 9] = [
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ",
];

/// Until this long after the start, the first runs wait for the servers' lists.
const FIRST_LIST: Duration = Duration::from_secs(3);

/// The servers of the configuration, not yet connected.
///
/// # Errors
/// A file that is named but not there, or that says something unusable.
pub(crate) fn servers(config: &Config, env: &EnvSource) -> anyhow::Result<Vec<Arc<McpServer>>> {
    let named = config.execution.mcp_config.clone();
    let path = named.clone().unwrap_or_else(|| config.data_path(DEFAULT_FILE));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let parsed = McpConfig::parse(&text, |name| env.get(name).map(str::to_owned));
    let parsed = parsed.with_context(|| path.display().to_string())?;
    let variables: Vec<(String, String)> = VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), env.get(name)?.to_owned())))
        .collect();
    let servers = parsed.servers.into_iter();
    Ok(servers
        .map(|server| Arc::new(McpServer::new(server, variables.clone())))
        .collect())
}

/// Connects to the servers and keeps their lists until `stop`. Waits a moment for the first lists, so that the first
/// run finds its tools; a server that takes longer is listed later.
pub(crate) async fn start(servers: &[Arc<McpServer>], stop: &CancellationToken) {
    let looks = servers.iter().map(|server| {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            if let Err(error) = server.refresh().await {
                tracing::warn!(mcp.server = server.name(), %error, "MCP server cannot be listed");
            }
        })
    });
    let looks: Vec<_> = looks.collect();
    let all = async {
        for look in looks {
            let _ = look.await;
        }
    };
    if tokio::time::timeout(FIRST_LIST, all).await.is_err() {
        tracing::warn!("some MCP servers have not answered yet");
    }
    for server in servers {
        tokio::spawn(Arc::clone(server).watch(stop.clone()));
    }
}
