//! Connections to servers.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use ag_outbound::{ClientOptions, OutboundPolicy, check_url, client};
use http::HeaderValue;
use rmcp::model::{ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt as _};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::config::{ServerConfig, Way};

/// Until a server has answered the first message. Programs that are downloaded at their first start take a while.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest event of a streamed answer.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An open connection.
pub(crate) struct Connection {
    pub(crate) service: RunningService<RoleClient, ClientConfig>,
    _process: Option<Process>,
}

impl Connection {
    pub(crate) fn is_open(&self) -> bool {
        !self.service.is_closed() && !self.service.peer().is_transport_closed()
    }
}

/// A child with whatever it started: they end together. Servers are often started by a launcher that would leave them
/// behind.
struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }
}

/// Connects. `variables` is what a child process may know of the service's environment.
///
/// # Errors
/// A text without secrets.
pub(crate) async fn connect(
    server: &ServerConfig,
    variables: &[(String, String)],
) -> Result<Connection, String> {
    let connecting = async {
        match &server.way {
            Way::Stdio {
                command,
                args,
                env,
                dir,
            } => {
                let mut child = Command::new(command);
                child.args(args).env_clear();
                child.envs(variables.iter().map(|(name, value)| (name, value)));
                child.envs(env.iter().map(|(name, value)| (name, value.expose_secret())));
                if let Some(dir) = dir {
                    child.current_dir(dir);
                }
                child
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                let mut child = child
                    .process_group(0)
                    .kill_on_drop(true)
                    .spawn()
                    .map_err(|error| format!("cannot be started: {}", error.kind()))?;
                let pipes = (child.stdout.take(), child.stdin.take());
                if let Some(stderr) = child.stderr.take() {
                    tokio::spawn(log(server.name.clone(), stderr));
                }
                let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
                let process = Process { child, group };
                let (Some(stdout), Some(stdin)) = pipes else {
                    return Err("cannot be spoken to".to_owned());
                };
                let service = about_us()
                    .serve((stdout, stdin))
                    .await
                    .map_err(|error| short(&error))?;
                Ok(Connection {
                    service,
                    _process: Some(process),
                })
            }
            Way::Http { url, headers } => {
                let policy = OutboundPolicy::operator();
                check_url(&policy, url).map_err(|error| error.to_string())?;
                let http = client(&policy, &ClientOptions::default()).map_err(|error| error.to_string())?;
                let mut custom = HashMap::new();
                for (name, value) in headers {
                    let mut value = HeaderValue::from_str(value.expose_secret())
                        .map_err(|_| "a header value cannot be sent".to_owned())?;
                    value.set_sensitive(true);
                    custom.insert(name.clone(), value);
                }
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .custom_headers(custom)
                    .max_sse_event_size(MAX_EVENT_BYTES);
                let transport = StreamableHttpClientTransport::with_client(http, config);
                let service = about_us().serve(transport).await.map_err(|error| short(&error))?;
                Ok(Connection {
                    service,
                    _process: None,
                })
            }
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(connecting)).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
    }
}

fn about_us() -> ClientConfig {
    let mut about = ClientConfig::default();
    about.client_info = Implementation::new("abstractgateway", env!("CARGO_PKG_VERSION"));
    about
}

/// One line of an error, without what a server or proxy put into it beyond reason.
pub(crate) fn short(error: &dyn std::fmt::Display) -> String {
    const MAX_CHARS: usize = 300;
    let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// What a child writes to its standard error is for people who look for a fault.
async fn log(server: String, stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(mcp.server = %server, "{}", short(&line));
    }
}
