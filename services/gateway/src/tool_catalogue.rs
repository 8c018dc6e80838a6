//! Tool descriptions for nodes and agents: the default tools, those of tool servers, and the agent's built-ins.

use ag_kernel::ToolCatalogue;
use ag_tools::{Toolbox, catalogue};
use serde_json::Value;

/// The catalogue of this process.
pub(crate) struct Tools(pub(crate) Toolbox);

impl ToolCatalogue for Tools {
    fn spec(&self, name: &str) -> Option<Value> {
        let ours = catalogue::find(name).or_else(|| catalogue::find_built_in(name));
        ours.map(|spec| spec.model()).or_else(|| {
            let sourced = self.0.sourced().into_iter();
            sourced
                .filter(|tool| tool.name == name)
                .map(|tool| tool.model())
                .next()
        })
    }

    fn names(&self) -> Vec<String> {
        // What nobody chose is not on offer: tools of servers are named by the workflow that wants them.
        catalogue::specs()
            .iter()
            .map(|spec| spec.name.to_string())
            .collect()
    }
}
