//! The loop on the kernel, with scripted models, tools and users.

mod behaviour;
mod driver;
mod recorded;

use ag_types::EffectKind;
use serde_json::{Value, json};

use driver::Played;

fn read(file: &str) -> Value {
    json!({"file_path": file})
}

fn system(played: &Played, turn: usize) -> &str {
    played.payloads(EffectKind::LlmCall)[turn]["system_prompt"]
        .as_str()
        .expect("a system prompt")
}
