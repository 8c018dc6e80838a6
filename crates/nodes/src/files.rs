//! Files of the workspace and artifacts.

mod export_artifact;
mod import_workspace_file;
mod list_folder_files;
mod read_artifact;
mod read_file;
mod read_pdf;
mod request;
mod write_file;
mod write_pdf;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    read_file::NODE,
    write_file::NODE,
    read_pdf::NODE,
    write_pdf::NODE,
    list_folder_files::NODE,
    import_workspace_file::NODE,
    read_artifact::NODE,
    export_artifact::NODE,
];
