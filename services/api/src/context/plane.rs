//! From principals to the integers in keys.

use std::{collections::HashMap, sync::Arc};

use ag_auth::{PlaneKey, PlaneRule, Principal};
use ag_store::{Store, StoreError};
use ag_types::{SystemScope, TenantScope};
use parking_lot::RwLock;

/// Planes are never renamed, so a look-up is good for the life of the process.
pub(super) struct Scopes {
    store: Arc<dyn Store>,
    rule: PlaneRule,
    root: TenantScope,
    known: RwLock<HashMap<PlaneKey, TenantScope>>,
}

impl Scopes {
    pub(super) fn new(store: Arc<dyn Store>, rule: PlaneRule) -> Self {
        Self {
            store,
            rule,
            root: TenantScope::root(),
            known: RwLock::default(),
        }
    }

    /// The plane of a principal, made on its first request.
    pub(super) async fn of(&self, principal: &Principal) -> Result<TenantScope, StoreError> {
        if self.rule == PlaneRule::SingleToken {
            return Ok(self.root.clone());
        }
        let plane = self.rule.plane_of(principal);
        if plane == PlaneKey::root() {
            return Ok(self.root.clone());
        }
        if let Some(scope) = self.known.read().get(&plane) {
            return Ok(scope.clone());
        }
        let key = ag_types::PlaneKey {
            tenant_id: plane.tenant_id.as_str().into(),
            runtime_id: plane.runtime_id.as_str().into(),
        };
        let scope = self
            .store
            .plane(&SystemScope::new("plane of an authenticated principal"), &key)
            .await?;
        self.known.write().insert(plane, scope.clone());
        Ok(scope)
    }
}
