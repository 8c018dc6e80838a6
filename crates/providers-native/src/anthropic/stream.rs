//! Streamed answers: events that build the message that would have come whole.

use ag_providers::ports::DeltaSink;
use ag_providers::{ChatDelta, Object, ProviderError};
use ag_providers_http::errors::Place;
use ag_providers_http::streamed::StreamAssembly;
use serde_json::{Value, json};

/// Blocks of one answer; a broken index must not allocate.
const MAX_BLOCKS: usize = 512;

/// The message so far.
#[derive(Default)]
pub(super) struct Assembly {
    message: Object,
    blocks: Vec<Block>,
    error: Option<Value>,
    stopped: bool,
    done: bool,
}

#[derive(Default)]
struct Block {
    value: Object,
    /// The arguments of a call, which come as pieces of JSON text.
    input: String,
}

impl StreamAssembly for Assembly {
    fn event(&mut self, place: &Place, data: &str, sink: DeltaSink<'_>) -> Result<(), ProviderError> {
        let event: Value =
            serde_json::from_str(data).map_err(|_| place.unreadable("a stream event is not JSON"))?;
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => {
                if let Some(Value::Object(message)) = event.get("message") {
                    self.message.clone_from(message);
                }
            }
            "content_block_start" => {
                if let (Some(block), Some(Value::Object(start))) =
                    (self.block(&event), event.get("content_block"))
                {
                    block.value.clone_from(start);
                }
            }
            "content_block_delta" => {
                if let (Some(block), Some(delta)) = (self.block(&event), event.get("delta")) {
                    block.delta(delta, sink);
                }
            }
            "message_delta" => {
                if let Some(Value::Object(delta)) = event.get("delta") {
                    self.stopped |= delta.get("stop_reason").is_some_and(Value::is_string);
                    self.message.extend(delta.clone());
                }
                if let (Some(Value::Object(usage)), Some(Value::Object(more))) =
                    (self.message.get_mut("usage"), event.get("usage"))
                {
                    usage.extend(more.clone());
                } else if let Some(usage) = event.get("usage") {
                    self.message.insert("usage".to_owned(), usage.clone());
                }
            }
            "message_stop" => self.done = true,
            "error" => {
                self.error = Some(event.get("error").cloned().unwrap_or_else(|| json!({})));
                self.done = true;
            }
            // Pings and what may come.
            _ => {}
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self) -> Option<Value> {
        if let Some(error) = self.error {
            return Some(json!({ "type": "error", "error": error }));
        }
        if !self.done && !self.stopped {
            return None;
        }
        let mut message = self.message;
        let blocks = self.blocks.into_iter().filter(|block| !block.value.is_empty());
        let blocks: Vec<Value> = blocks.map(Block::finish).collect();
        message.insert("content".to_owned(), Value::Array(blocks));
        Some(Value::Object(message))
    }
}

impl Assembly {
    fn block(&mut self, event: &Value) -> Option<&mut Block> {
        let index = usize::try_from(event.get("index")?.as_u64()?).ok()?;
        if index >= MAX_BLOCKS {
            return None;
        }
        while self.blocks.len() <= index {
            self.blocks.push(Block::default());
        }
        self.blocks.get_mut(index)
    }
}

impl Block {
    fn delta(&mut self, delta: &Value, sink: DeltaSink<'_>) {
        let text = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text_delta" => {
                self.append("text", text("text"));
                if !text("text").is_empty() {
                    sink(ChatDelta::Content(text("text").to_owned()));
                }
            }
            "thinking_delta" => {
                self.append("thinking", text("thinking"));
                if !text("thinking").is_empty() {
                    sink(ChatDelta::Reasoning(text("thinking").to_owned()));
                }
            }
            "signature_delta" => self.append("signature", text("signature")),
            "input_json_delta" => self.input.push_str(text("partial_json")),
            _ => {}
        }
    }

    fn append(&mut self, key: &str, more: &str) {
        match self.value.get_mut(key) {
            Some(Value::String(text)) => text.push_str(more),
            _ => {
                self.value.insert(key.to_owned(), Value::from(more));
            }
        }
    }

    /// Arguments that are no JSON stay text: the caller then tells the model.
    fn finish(mut self) -> Value {
        if !self.input.trim().is_empty() {
            let input = serde_json::from_str(&self.input).unwrap_or(Value::String(self.input));
            self.value.insert("input".to_owned(), input);
        }
        Value::Object(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            family: "Anthropic".to_owned(),
            url: "u".to_owned(),
        }
    }

    fn assemble(events: &[Value]) -> Option<Value> {
        let mut assembly = Assembly::default();
        for event in events {
            assembly
                .event(&place(), &event.to_string(), &|_| {})
                .expect("event");
        }
        assembly.finish()
    }

    #[test]
    fn events_make_the_message() {
        let events = [
            json!({"type":"message_start","message":{"model":"m","content":[],"usage":{"input_tokens":4,"output_tokens":1}}}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}),
            json!({"type":"ping"}),
            json!({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Zo"}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ë"}}),
            json!({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}),
            json!({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}),
            json!({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}}),
            json!({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}),
            json!({"type":"message_stop"}),
        ];
        assert_eq!(
            assemble(&events).expect("whole"),
            json!({"model":"m","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Zoë"},
                {"type":"tool_use","id":"t","name":"f","input":{"a":1}}],
                "usage":{"input_tokens":4,"output_tokens":9},"stop_reason":"tool_use"})
        );
        assert!(assemble(&events[..8]).is_none(), "cut");
        let broken = json!({"type":"content_block_delta","index":1_000_000,"delta":{}});
        assert!(assemble(&[broken]).is_none());
        let error = assemble(&[json!({"type":"error","error":{"type":"overloaded_error"}})]).expect("error");
        assert_eq!(error["error"]["type"], "overloaded_error");
    }
}
