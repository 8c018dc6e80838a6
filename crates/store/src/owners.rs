//! Owners of memory and attachments that are not runs: `session_memory_<sid>`, `global_memory`.
//!
//! Clients can name these ids wherever a run id is expected, so every read of a run by id falls back to them. They
//! have no head, no mail and are never ticked.

use ag_types::{TenantScope, Timestamp};
use async_trait::async_trait;

use crate::Result;

/// An owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// Text id.
    pub owner_id: String,
    /// Session it belongs to, if any.
    pub session_id: Option<String>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Owners.
#[async_trait]
pub trait OwnerStore: Send + Sync {
    /// Creates the owner unless it exists; returns the stored row.
    async fn ensure_owner(&self, scope: &TenantScope, owner: OwnerRow) -> Result<OwnerRow>;
    /// One owner.
    async fn owner(&self, scope: &TenantScope, owner_id: &str) -> Result<Option<OwnerRow>>;
}
