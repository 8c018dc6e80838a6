//! `[execution]`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lists;

/// Tools, memory and code of running workflows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionConfig {
    /// Who executes tools and after whose consent, see [`ToolMode`]. Since v0.1.0.
    pub tool_mode: String,
    /// Copied to runs as their prompt cache switch when set. Since v0.1.0.
    pub prompt_cache: Option<bool>,
    /// Size in bytes from which values leave the run's state for an artifact, 0 = never. Since v0.1.0.
    pub max_inline_bytes: u64,
    /// Largest file in bytes that a tool registers as an attachment. Since v0.1.0.
    pub max_tool_attachment_bytes: u64,
    /// Allow code nodes that ask for full access. Since v0.1.0.
    pub code_full_access: bool,
    /// Owner of the global memory. Since v0.1.0.
    pub global_memory_run_id: String,
    /// Fields of the grounding text of model calls; empty = the usual ones. Since v0.1.0.
    #[serde(deserialize_with = "lists::comma_list")]
    pub grounding_prompt_fields: Vec<String>,
    /// File that names MCP servers whose tools runs may call; unset = `mcp.json` in the data directory, if it is there.
    /// Since v0.1.0.
    pub mcp_config: Option<PathBuf>,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            tool_mode: "approval".to_owned(),
            prompt_cache: None,
            max_inline_bytes: 262_144,
            max_tool_attachment_bytes: 26_214_400,
            code_full_access: false,
            global_memory_run_id: "global_memory".to_owned(),
            grounding_prompt_fields: Vec::new(),
            mcp_config: None,
        }
    }
}

/// Who executes tools, and after whose consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolMode {
    /// Safe batches run at once, a batch with a gated call waits for approval.
    Approval,
    /// Every batch waits for approval.
    Passthrough,
    /// Nothing runs here, every batch waits for an external executor.
    Delegated,
    /// Everything runs at once; client workspace fields are honoured as well.
    Local,
    /// Everything runs at once.
    LocalAll,
}

impl ExecutionConfig {
    /// The mode behind the configured name; names that mean nothing are the most careful local mode.
    #[must_use]
    pub fn mode(&self) -> ToolMode {
        match self.tool_mode.trim().to_ascii_lowercase().as_str() {
            "approval" | "local_approval" | "local-approval" | "" => ToolMode::Approval,
            "delegated" | "delegate" | "job" => ToolMode::Delegated,
            "local" => ToolMode::Local,
            "local_all" => ToolMode::LocalAll,
            _ => ToolMode::Passthrough,
        }
    }
}
