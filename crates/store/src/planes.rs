//! Planes: the mapping from names to the integers in keys.

use ag_types::{PlaneKey, SystemScope, TenantScope};
use async_trait::async_trait;

use crate::Result;

/// Access to planes.
#[async_trait]
pub trait Planes: Send + Sync {
    /// The scope of a plane, created on first use.
    async fn plane(&self, scope: &SystemScope, key: &PlaneKey) -> Result<TenantScope>;
    /// The scope behind a plane id found on a claimed run.
    async fn plane_by_id(&self, scope: &SystemScope, plane: ag_types::PlaneId)
    -> Result<Option<TenantScope>>;
    /// Every plane, for sweeps and start-up work.
    async fn planes(&self, scope: &SystemScope) -> Result<Vec<TenantScope>>;
    /// Whether the database answers now and its schema is this program's or a newer one, which an older program
    /// survives (expand, then contract). A store that one process owns was brought to its schema when it was opened.
    async fn is_current(&self, scope: &SystemScope) -> Result<bool> {
        self.planes(scope).await.map(|_| true)
    }
}
