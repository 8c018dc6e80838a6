//! One file per tool: its specification and what it does.

mod analyze_code;
mod edit_file;
pub(crate) mod execute_command;
mod fetch_url;
mod list_files;
mod open_attachment;
mod read_file;
mod search_files;
mod skim_files;
mod skim_folders;
pub(crate) mod web_search;
mod write_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::args::Args;
use crate::catalogue;
use crate::context::{Stop, ToolContext};
use crate::spec::ToolSpec;
use crate::toolbox::Toolbox;
use crate::workspace::WorkspacePolicy;

/// What a tool returns before normalisation; the error is a text for the model.
pub(crate) type Outcome = Result<Value, String>;

/// One tool.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) spec: fn() -> ToolSpec,
    pub(crate) run: Run,
}

/// How a tool runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// File work, on a thread that may block.
    Blocking(fn(&Args, &Files) -> Outcome),
    /// Everything that waits for others.
    Async(for<'a> fn(&'a Args, &'a Toolbox, &'a ToolContext) -> BoxFuture<'a, Outcome>),
    /// The runtime executes it before the tools are asked.
    Runtime,
}

/// What file tools work with.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) workspace: Arc<WorkspacePolicy>,
    pub(crate) stop: Stop,
}

impl Files {
    /// The real path of an argument, refused when policy or ignore rules say so.
    pub(crate) fn resolve(&self, raw: &str) -> Result<PathBuf, String> {
        let path = self.workspace.resolve(raw).map_err(|error| error.to_string())?;
        self.workspace
            .roots()
            .check_ignored(&path, raw)
            .map_err(|error| error.to_string())?;
        Ok(path)
    }
}

/// All tools, by toolset and name.
pub(crate) const TOOLS: &[Tool] = &[
    analyze_code::TOOL,
    edit_file::TOOL,
    list_files::TOOL,
    open_attachment::TOOL,
    read_file::TOOL,
    search_files::TOOL,
    skim_files::TOOL,
    skim_folders::TOOL,
    write_file::TOOL,
    execute_command::TOOL,
    fetch_url::TOOL,
    web_search::TOOL,
];

pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The tool's specification.
pub(crate) fn spec(tool: &Tool) -> &'static ToolSpec {
    let index = TOOLS
        .iter()
        .position(|other| other.name == tool.name)
        .unwrap_or_default();
    &catalogue::specs()[index]
}

/// Whether a walk leaves out an entry because its name begins with a dot.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}
