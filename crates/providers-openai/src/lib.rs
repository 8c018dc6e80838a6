//! The OpenAI-compatible wire: chat, streaming, embeddings, model list, images, speech and transcription against any
//! base URL.
//!
//! - [`OpenAiProviders`] builds the ports of an endpoint; all endpoints of a process share its connections, circuit
//!   breaker and knowledge of model names.
//! - [`EnvironmentDirectory`] finds endpoints by name: families configured by environment, and stored connections.
//!
//! Inside: `request` (ours to wire), `thinking` (the families' dialects), `response`, `stream`, `errors`, `transport`.

mod chat;
mod directory;
mod embeddings;
mod errors;
mod factory;
mod media;
mod models;
mod request;
mod residency;
mod response;
mod stream;
mod thinking;
mod transport;

pub use directory::{EnvironmentDirectory, ProviderSettings};
pub use factory::{OpenAiProviders, OpenAiSettings};
