//! Documents of the flow editor (workflows contract §3).

mod documents;
mod publish;
mod simulate;
#[cfg(test)]
mod tests;

pub use simulate::CodeService;

use crate::operation::ops;

ops! {
    /// Documents of the flow editor.
    pub(super) const VISUALFLOWS: "visualflows" = {
        GET "/api/gateway/visualflows" documents::list_visualflows "Lists the editor's documents.";
        POST "/api/gateway/visualflows" documents::create_visualflow "Stores a new document.";
        POST "/api/gateway/visualflows/code/simulate" simulate::simulate_code "Runs the body of a code node without a run.";
        GET "/api/gateway/visualflows/{flow_id}" documents::get_visualflow "Shows a document.";
        PUT "/api/gateway/visualflows/{flow_id}" documents::update_visualflow "Changes members of a document.";
        DELETE "/api/gateway/visualflows/{flow_id}" documents::delete_visualflow "Deletes a document.";
        POST "/api/gateway/visualflows/{flow_id}/publish" publish::publish_visualflow "Packs a document and what it calls into a bundle and installs it.";
    }
}
