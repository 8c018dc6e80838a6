//! Bundles: what is installed in the caller's plane, and how it gets there (workflows contract §2).
//!
//! Bytes are blobs by content hash, rows are documents of the plane; a row keeps why its flows cannot be used, so one
//! broken bundle never hides another. Runs keep the hash they started with, whatever happens here.

mod flows_dir;
mod inspect;
mod install;
mod lifecycle;
mod manage;
#[cfg(test)]
mod nodes_tests;
mod startup;
#[cfg(test)]
mod tests;
mod workflow_flow;

pub(crate) use install::Installer;
pub use startup::{FlowsDirError, FlowsDirReport, ShippedBundles, install_flows_dir};

use crate::operation::ops;

ops! {
    /// Installed bundles.
    pub(super) const BUNDLES: "bundles" = {
        GET "/api/gateway/bundles" inspect::list_bundles "Lists installed bundles.";
        POST "/api/gateway/bundles/reload" manage::reload_bundles "Reads the installed bundles anew.";
        POST "/api/gateway/bundles/upload" manage::upload_bundle "Installs a bundle file.";
        GET "/api/gateway/bundles/{bundle_id}" inspect::get_bundle "Shows a bundle with its entrypoints.";
        DELETE "/api/gateway/bundles/{bundle_id}" manage::remove_bundle "Removes one version of a bundle, or all.";
        POST "/api/gateway/bundles/{bundle_id}/deprecate" lifecycle::deprecate_bundle "Hides a bundle or an entrypoint and refuses its starts.";
        POST "/api/gateway/bundles/{bundle_id}/undeprecate" lifecycle::undeprecate_bundle "Takes a deprecation back.";
        GET "/api/gateway/bundles/{bundle_id}/flows/{flow_id}" inspect::get_bundle_flow "Shows a flow document of a bundle.";
        GET "/api/gateway/bundles/{bundle_id}/flows/{flow_id}/input_schema" inspect::get_bundle_flow_input_schema "Describes what a flow wants to be started with.";
        GET "/api/gateway/workflows/{workflow_id}/flow" workflow_flow::get_workflow_flow "Shows the flow document behind a workflow id.";
    }
}
