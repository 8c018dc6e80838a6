//! Tools of MCP servers, as [`ag_tools::ToolSource`]s.
//!
//! An operator names the servers in a file of the form that other MCP clients use (`{"mcpServers": {…}}`,
//! [`McpConfig`]); nothing else is ever connected to. A server is a child process that speaks over its standard streams,
//! or an address that speaks streamable HTTP. Its tools are named `mcp::<server>::<tool>`.
//!
//! A connection is made when it is needed and made again after it broke; the list of tools is kept and refreshed
//! beside it ([`McpServer`]). A call that was sent is never sent twice: its outcome is unknown when the connection
//! breaks, and the model is told so.

mod config;
mod output;
mod server;
mod transport;

pub use config::{McpConfig, McpConfigError, ServerConfig, Way};
pub use server::McpServer;
