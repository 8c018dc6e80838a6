//! What a call runs with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ag_outbound::{ClientOptions, OutboundClient, OutboundError, OutboundPolicy, outbound_client};
use tokio_util::sync::CancellationToken;

use crate::workspace::WorkspacePolicy;

/// Redirects that `fetch_url` follows; each target is judged by the outbound policy.
const MAX_REDIRECTS: usize = 10;

/// The surroundings of one call.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// The run's workspace.
    pub workspace: Arc<WorkspacePolicy>,
    /// Ends the call early.
    pub cancel: CancellationToken,
    /// Upper limit for the call (contract default: 7200 s).
    pub timeout: Duration,
    /// For `fetch_url`; see [`Self::http_client`].
    pub http: OutboundClient,
    /// Time of the call in ISO form, from the caller's clock.
    pub timestamp: String,
}

impl ToolContext {
    /// The contract's limit for one tool call.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(7200);

    /// A client for tools. Build one per policy and share it.
    ///
    /// # Errors
    /// As [`outbound_client`].
    pub fn http_client(policy: OutboundPolicy) -> Result<OutboundClient, OutboundError> {
        let opts = ClientOptions {
            max_redirects: MAX_REDIRECTS,
            // Tools visit many hosts once; idle connections would only pile up.
            pool_max_idle_per_host: 2,
            ..ClientOptions::default()
        };
        outbound_client(policy, &opts)
    }
}

/// Whether and with what environment commands run.
///
/// The service's own environment holds credentials, so a command gets a short list of harmless variables. A pattern
/// check on the command line stops accidents; it is no boundary against a determined author. That boundary is the
/// machine on which such a pool runs.
#[derive(Clone)]
pub struct ExecPolicy {
    pub(crate) allowed: bool,
    pub(crate) environment: Vec<(String, String)>,
}

/// Values of variables stay out of logs.
impl fmt::Debug for ExecPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecPolicy")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl ExecPolicy {
    const VARIABLES: &[&str] = &[
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ",
    ];

    /// No command runs; `execute_command` does not exist.
    #[must_use]
    pub fn forbidden() -> Self {
        Self {
            allowed: false,
            environment: Vec::new(),
        }
    }

    /// Commands run with what is harmless among `variables` (the service's environment, read once at start).
    #[must_use]
    pub fn allowed(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment = variables
            .into_iter()
            .filter(|(name, _)| Self::VARIABLES.contains(&name.as_str()))
            .collect();
        Self {
            allowed: true,
            environment,
        }
    }

    /// Whether commands may run at all.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }
}

/// Lets blocking work notice that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Stops when `token` is cancelled.
    #[must_use]
    pub fn new(token: CancellationToken) -> Self {
        Self(token)
    }

    /// Asked inside loops over files.
    ///
    /// # Errors
    /// A text once the token is cancelled.
    pub fn check(&self) -> Result<(), String> {
        if self.0.is_cancelled() {
            Err(CANCELLED.to_owned())
        } else {
            Ok(())
        }
    }
}

pub(crate) const CANCELLED: &str = "Tool call cancelled";
