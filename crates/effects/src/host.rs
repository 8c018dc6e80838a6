//! The door to hosts: what answers the questions that steps ask while they are planned.

use ag_kernel::{Exception, HostCall};
use ag_store::StoreError;
use ag_types::{RunState, TenantScope};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::handler::Failure;

/// Answers the questions of steps: code, files, catalogues.
#[async_trait]
pub trait Host: Send + Sync {
    /// Answers one question. Must return soon after `cancel` fires.
    ///
    /// # Errors
    /// [`HostFailure`].
    async fn answer(&self, question: HostQuestion<'_>) -> Result<Value, HostFailure>;
}

/// Why a host has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostFailure {
    /// The exception of the asking node.
    #[error(transparent)]
    Raised(#[from] Exception),
    /// A store that the answer needs is away: the same question is asked again later.
    #[error(transparent)]
    Postponed(StoreError),
}

impl HostFailure {
    /// An outage that passes by itself postpones, everything else is raised.
    pub(crate) fn of(failure: Failure, raise: impl FnOnce(String) -> Exception) -> Self {
        match failure.outage() {
            Ok(error) => Self::Postponed(error),
            Err(text) => Self::Raised(raise(text)),
        }
    }
}

/// A question with its context.
pub struct HostQuestion<'a> {
    /// Owner of the run.
    pub scope: &'a TenantScope,
    /// The run, read only.
    pub run: &'a RunState,
    /// The question.
    pub call: &'a HostCall,
    /// Fires when the run is cancelled or the holder loses its authority.
    pub cancel: &'a CancellationToken,
}
