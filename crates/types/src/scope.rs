//! Who owns a row. Every store method takes one of these first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A data plane as stored in keys: one `(tenant_id, runtime_id)` pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaneId(pub i32);

impl PlaneId {
    /// The root plane `{default, default}`, created by the first migration.
    pub const ROOT: PlaneId = PlaneId(1);
}

/// The names behind a [`PlaneId`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaneKey {
    /// Tenant that owns the plane.
    pub tenant_id: Arc<str>,
    /// Runtime inside the tenant; one user has one runtime.
    pub runtime_id: Arc<str>,
}

impl PlaneKey {
    /// The plane of single-token and local callers.
    pub fn root() -> Self {
        Self {
            tenant_id: "default".into(),
            runtime_id: "default".into(),
        }
    }
}

/// The owner of data. Made by the authentication layer or from the row of a claimed run, nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope {
    /// Integer form used in keys.
    pub plane: PlaneId,
    /// Names, for paths, logs and principals.
    pub key: PlaneKey,
}

impl TenantScope {
    /// The scope of the root plane.
    pub fn root() -> Self {
        Self {
            plane: PlaneId::ROOT,
            key: PlaneKey::root(),
        }
    }
}

/// Work of the system itself that crosses planes (claims, sweeps, migrations). The reason is logged.
#[derive(Debug, Clone, Copy)]
pub struct SystemScope {
    reason: &'static str,
}

impl SystemScope {
    /// States why the call may cross planes; easy to search for.
    pub const fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    /// The stated reason.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}
