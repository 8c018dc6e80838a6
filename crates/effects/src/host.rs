//! The door to hosts: what answers the questions that steps ask while they are planned.

use ag_kernel::{Exception, HostCall};
use ag_types::{RunState, TenantScope};
use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Answers the questions of steps: code, files, catalogues.
#[async_trait]
pub trait Host: Send + Sync {
    /// Answers one question. Must return soon after `cancel` fires.
    async fn answer(&self, question: HostQuestion<'_>) -> Result<Value, Exception>;
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
