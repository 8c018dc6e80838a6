//! Files of the workspace outside of runs (artifacts contract §5-§6). For admins, but for the policy itself.

mod browse;
mod index;
mod scope;
#[cfg(test)]
mod tests;

pub(crate) use scope::Scope;

use crate::operation::ops;

ops! {
    /// Files of the workspace.
    pub(super) const FILES: "files" = {
        GET "/api/gateway/files/list" browse::list_files "Lists a folder of the workspace.";
        GET "/api/gateway/files/search" index::search_files "Finds workspace files by name.";
        GET "/api/gateway/files/read" browse::read_file "Shows lines of a workspace file.";
        GET "/api/gateway/files/skim" browse::skim_file "Shows a sample of a workspace file.";
    }
}

ops! {
    /// The workspace policy.
    pub(super) const WORKSPACE: "workspace" = {
        GET "/api/gateway/workspace/policy" browse::workspace_policy "Tells how clients may use the workspace.";
    }
}
