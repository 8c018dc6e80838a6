//! Ports of which the tests need nothing.

use std::sync::Arc;

use ag_effects::{
    EffectCtx, Host, HostFailure, HostQuestion, Tools, ToolsDone,
    memory::{self, MemoryOwners, MemoryParts},
    routes::{CapabilityRoutes, ModelResolver, RouteLevels},
};
use ag_engine::{ModelDefaults, ModelLimits};
use ag_kernel::{Exception, ToolCatalogue};
use ag_providers::{CapabilityTable, ProviderClient, ProviderDirectory, ProviderError, ProviderQuery};
use ag_store::Store;
use ag_types::{SystemClock, TenantScope, Wait};
use async_trait::async_trait;
use serde_json::Value;

pub(super) struct Defaults;
#[async_trait]
impl ModelDefaults for Defaults {
    async fn text_route(&self, _: &TenantScope) -> Option<(String, String)> {
        None
    }
    fn limits(&self, _: Option<&str>) -> ModelLimits {
        ModelLimits {
            max_tokens: 16_384,
            max_output_tokens: 4_096,
            tool_support: "prompted",
        }
    }
}

pub(super) struct NoHost;
#[async_trait]
impl Host for NoHost {
    async fn answer(&self, question: HostQuestion<'_>) -> Result<Value, HostFailure> {
        let text = format!("{:?} is not available here", question.call.op);
        Err(Exception::runtime(text).into())
    }
}

pub(super) struct NoTools;
#[async_trait]
impl Tools for NoTools {
    async fn run_approved(&self, _: &EffectCtx<'_>, _: &ag_kernel::aux::ApprovedBatch) -> ToolsDone {
        ToolsDone::default()
    }
    fn settle(&self, _: &Wait, payload: &Value) -> Option<Value> {
        Some(payload.clone())
    }
}

struct NoProviders;
#[async_trait]
impl ProviderDirectory for NoProviders {
    async fn resolve(&self, query: ProviderQuery<'_>) -> Result<ProviderClient, ProviderError> {
        Err(ag_providers::unknown_provider(query.provider))
    }
}

/// Memory without models: nothing is summarised or embedded.
pub(super) fn memory_parts(store: &Arc<dyn Store>) -> MemoryParts {
    let table = Arc::new(CapabilityTable::built_in());
    let levels = RouteLevels::Single;
    let routes = CapabilityRoutes::new(store.clone(), table, Arc::new(SystemClock), levels, None);
    MemoryParts {
        owners: MemoryOwners::default(),
        vocabulary: memory::kg::Vocabulary::default(),
        resolver: ModelResolver::new(Arc::new(routes), Arc::new(NoProviders)),
    }
}

pub(super) struct NoCatalogue;
impl ToolCatalogue for NoCatalogue {
    fn spec(&self, _: &str) -> Option<Value> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}
