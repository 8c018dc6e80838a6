//! The OpenAI-compatible wire: chat, streaming, embeddings, model list, images, speech and transcription against any
//! base URL.
//!
//! [`OpenAiWire`] is the adapter; all endpoints of a process share its knowledge of model names. [`AbstractCoreWire`] is
//! the dialect of split mode, in which another service calls the models.
//!
//! Inside: `request` (ours to wire), `thinking` (the families' dialects), `response`, `stream`.

mod chat;
mod embeddings;
mod media;
mod models;
mod music;
mod request;
mod residency;
mod response;
mod split;
mod stream;
mod thinking;
mod wire;

pub use split::AbstractCoreWire;
pub use wire::OpenAiWire;

pub(crate) use ag_providers_http::{errors, transport};
