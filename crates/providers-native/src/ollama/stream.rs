//! Streamed answers: one JSON object per line.

use ag_providers::ports::DeltaSink;
use ag_providers::{ChatDelta, Object, ProviderError};
use ag_providers_http::errors::Place;
use ag_providers_http::streamed::StreamAssembly;
use serde_json::{Value, json};

/// Tool calls of one answer.
const MAX_CALLS: usize = 256;

/// The answer so far.
#[derive(Default)]
pub(super) struct Assembly {
    last: Object,
    content: String,
    thinking: String,
    calls: Vec<Value>,
    error: Option<Value>,
    done: bool,
}

impl StreamAssembly for Assembly {
    fn event(&mut self, place: &Place, data: &str, sink: DeltaSink<'_>) -> Result<(), ProviderError> {
        let Ok(Value::Object(line)) = serde_json::from_str(data) else {
            return Err(place.unreadable("a stream line is not a JSON object"));
        };
        if let Some(error) = line.get("error") {
            self.error = Some(error.clone());
            self.done = true;
            return Ok(());
        }
        let message = line.get("message");
        let text = |key: &str| {
            let text = message
                .and_then(|message| message.get(key))
                .and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        if let Some(text) = text("thinking") {
            self.thinking.push_str(text);
            sink(ChatDelta::Reasoning(text.to_owned()));
        }
        if let Some(text) = text("content") {
            self.content.push_str(text);
            sink(ChatDelta::Content(text.to_owned()));
        }
        let calls = message
            .and_then(|message| message.get("tool_calls"))
            .and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            if self.calls.len() < MAX_CALLS {
                self.calls.push(call.clone());
            }
        }
        self.done = line.get("done") == Some(&Value::Bool(true));
        self.last = line;
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self) -> Option<Value> {
        if let Some(error) = self.error {
            return Some(json!({ "error": error }));
        }
        if !self.done {
            return None;
        }
        let mut message = json!({ "role": "assistant", "content": self.content });
        if !self.thinking.is_empty() {
            message["thinking"] = Value::from(self.thinking);
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = Value::Array(self.calls);
        }
        let mut answer = self.last;
        answer.insert("message".to_owned(), message);
        Some(Value::Object(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_the_answer() {
        let place = Place {
            family: "Ollama".to_owned(),
            url: "u".to_owned(),
        };
        let lines = [
            json!({"model":"m","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}),
            json!({"model":"m","message":{"content":"Zo"},"done":false}),
            json!({"model":"m","message":{"content":"ë","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}),
            json!({"model":"m","message":{"content":""},"done":true,"done_reason":"stop","eval_count":3}),
        ];
        let assemble = |lines: &[Value]| {
            let mut assembly = Assembly::default();
            for line in lines {
                assembly.event(&place, &line.to_string(), &|_| {}).expect("line");
            }
            assembly.finish()
        };
        let answer = assemble(&lines).expect("whole");
        assert_eq!(
            answer["message"],
            json!({"role":"assistant","content":"Zoë","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{}}}]})
        );
        assert_eq!(answer["eval_count"], 3);
        assert!(assemble(&lines[..3]).is_none(), "cut");
        assert_eq!(
            assemble(&[json!({"error":"gone"})]),
            Some(json!({"error":"gone"}))
        );
        assert!(Assembly::default().event(&place, "[]", &|_| {}).is_err());
    }
}
