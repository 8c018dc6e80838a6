//! Tool descriptions for nodes and agents: the default tools and the agent's built-ins.

use ag_kernel::ToolCatalogue;
use ag_tools::catalogue;
use serde_json::Value;

/// The catalogue of this process.
pub(crate) struct Tools;

impl ToolCatalogue for Tools {
    fn spec(&self, name: &str) -> Option<Value> {
        catalogue::find(name)
            .or_else(|| catalogue::find_built_in(name))
            .map(|spec| spec.model())
    }

    fn names(&self) -> Vec<String> {
        catalogue::specs()
            .iter()
            .map(|spec| spec.name.to_string())
            .collect()
    }
}
