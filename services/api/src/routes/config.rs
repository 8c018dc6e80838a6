//! Defaults of capabilities, stored connections to providers, and the console's text probe (discovery contract §5-§7).

mod capability_defaults;
pub(in crate::routes) mod profiles;
mod sandbox;
#[cfg(test)]
mod tests;

pub use profiles::{Resealed, StoredProfiles, reseal_secrets};

use crate::operation::ops;

ops! {
    /// Configuration that clients may change.
    pub(super) const CONFIG: "config" = {
        GET "/api/gateway/config/capability-defaults" capability_defaults::get_capability_defaults "Shows which model does what by default.";
        PUT "/api/gateway/config/capability-defaults/{kind}/{modality}" capability_defaults::set_capability_default "Sets a default.";
        DELETE "/api/gateway/config/capability-defaults/{kind}/{modality}" capability_defaults::clear_capability_default "Clears a default.";
        PUT "/api/gateway/config/capability-defaults/{kind}/{modality}/{task}" capability_defaults::set_capability_task_default "Sets the default of a task.";
        DELETE "/api/gateway/config/capability-defaults/{kind}/{modality}/{task}" capability_defaults::clear_capability_task_default "Clears the default of a task.";
        GET "/api/gateway/config/provider-endpoint-profiles" profiles::operations::list_endpoint_profiles "Lists connections to providers.";
        POST "/api/gateway/config/provider-endpoint-profiles" profiles::operations::save_endpoint_profile "Stores a connection.";
        POST "/api/gateway/config/provider-endpoint-profiles/discover-models" profiles::discover::discover_endpoint_models "Asks a server for its models.";
        PUT "/api/gateway/config/provider-endpoint-profiles/{profile_id}" profiles::operations::update_endpoint_profile "Changes a connection.";
        DELETE "/api/gateway/config/provider-endpoint-profiles/{profile_id}" profiles::operations::delete_endpoint_profile "Deletes a connection.";
    }
}

ops! {
    /// The console's text probe.
    pub(super) const SANDBOX: "sandbox" = {
        POST "/api/gateway/sandbox/generate" sandbox::generate_text "Asks a model once, outside of any run.";
    }
}
