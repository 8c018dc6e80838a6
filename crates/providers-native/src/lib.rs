//! Vendors' own protocols beside the OpenAI-compatible one.
//!
//! - [`AnthropicWire`]: `POST {base}/v1/messages`, model list at `{base}/v1/models`.
//! - [`OllamaWire`]: `POST {base}/api/chat`, embeddings, model list and residency below `{base}/api`.
//!
//! Inside each: `request` (ours to wire), `response`, `stream`, `models`.

mod anthropic;
mod list;
mod ollama;

pub use anthropic::AnthropicWire;
pub use ollama::OllamaWire;
