//! Client commands: start runs and follow them from a terminal. They speak HTTP like every other client.

mod api;
mod ask;
mod commands;
mod follow;
mod render;
mod sse;
mod term;

pub(crate) use api::Api;
pub(crate) use commands::{ClientCommand, Connection, run};
