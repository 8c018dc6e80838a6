//! Artifacts and attachments (artifacts contract §1-§3).

mod attachments;
mod content;
mod list;
pub(super) mod owner;
mod range;
mod search;
mod store;
#[cfg(test)]
mod tests;
mod transfer;

use crate::operation::ops;

ops! {
    /// Artifacts.
    pub(super) const ARTIFACTS: "artifacts" = {
        GET "/api/gateway/artifacts/search" search::search_artifacts "Searches the metadata of artifacts.";
        GET "/api/gateway/artifacts/stats" search::artifact_stats "Counts artifacts by kind.";
        POST "/api/gateway/artifacts/import" transfer::import_artifact "Turns a workspace file into an artifact of a session.";
        GET "/api/gateway/runs/{run_id}/artifacts" list::list_run_artifacts "Lists the artifacts of a run.";
        GET "/api/gateway/runs/{run_id}/artifacts/{artifact_id}" content::get_artifact "Shows the metadata of an artifact.";
        GET "/api/gateway/runs/{run_id}/artifacts/{artifact_id}/content" content::get_artifact_content "Sends the bytes of an artifact.";
        POST "/api/gateway/runs/{run_id}/artifacts/{artifact_id}/export" transfer::export_artifact "Writes an artifact to a workspace file.";
        GET "/api/gateway/sessions/{session_id}/artifacts" list::list_session_artifacts "Lists the artifacts of a session.";
    }
}

ops! {
    /// Attachments: artifacts that came from a client or from the workspace for a session.
    pub(super) const ATTACHMENTS: "attachments" = {
        POST "/api/gateway/attachments/upload" attachments::upload_attachment "Stores an uploaded file for a session.";
        POST "/api/gateway/attachments/ingest" transfer::ingest_attachment "Attaches a workspace file to a session.";
    }
}
