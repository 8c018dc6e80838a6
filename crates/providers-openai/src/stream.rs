//! Streamed answers: server-sent events, put together to the answer that would have come whole.

use ag_providers::ports::DeltaSink;
use ag_providers::{ChatDelta, Object, ProviderError};
use ag_providers_http::streamed::StreamAssembly;
use serde_json::{Value, json};

use crate::errors::Place;

/// The answer so far.
#[derive(Default)]
pub(crate) struct Assembly {
    head: Object,
    content: Option<String>,
    reasoning: String,
    calls: Vec<Object>,
    finish_reason: Value,
    usage: Option<Value>,
    error: Option<Value>,
    done: bool,
}

/// Tool calls in one answer; a broken index must not allocate.
const MAX_CALLS: usize = 256;

impl StreamAssembly for Assembly {
    fn event(&mut self, place: &Place, data: &str, sink: DeltaSink<'_>) -> Result<(), ProviderError> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Value =
            serde_json::from_str(data).map_err(|_| place.unreadable("a stream event is not JSON"))?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            self.error = Some(error.clone());
            return Ok(());
        }
        for key in ["id", "created", "model"] {
            if let Some(value) = chunk.get(key) {
                self.head.entry(key).or_insert_with(|| value.clone());
            }
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let Some(choice) = chunk.pointer("/choices/0") else {
            return Ok(());
        };
        if let Some(reason) = choice.get("finish_reason").filter(|reason| reason.is_string()) {
            self.finish_reason = reason.clone();
        }
        let Some(delta) = choice.get("delta") else {
            return Ok(());
        };
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.content.get_or_insert_default().push_str(text);
            if !text.is_empty() {
                sink(ChatDelta::Content(text.to_owned()));
            }
        }
        let reasoning = ["reasoning_content", "reasoning"]
            .iter()
            .find_map(|key| delta.get(*key).and_then(Value::as_str));
        if let Some(text) = reasoning.filter(|text| !text.is_empty()) {
            self.reasoning.push_str(text);
            sink(ChatDelta::Reasoning(text.to_owned()));
        }
        for call in delta
            .get("tool_calls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.call(call);
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self) -> Option<Value> {
        if let Some(error) = self.error {
            return Some(json!({ "error": error }));
        }
        if !self.done && self.finish_reason.is_null() {
            return None;
        }
        let mut message = Object::new();
        message.insert("role".to_owned(), Value::from("assistant"));
        message.insert(
            "content".to_owned(),
            self.content.map_or(Value::Null, Value::from),
        );
        if !self.reasoning.is_empty() {
            message.insert("reasoning_content".to_owned(), Value::from(self.reasoning));
        }
        let calls: Vec<Value> = self
            .calls
            .into_iter()
            .filter(|call| call.contains_key("name"))
            .map(|mut call| {
                let id = call.remove("id").unwrap_or(Value::Null);
                json!({ "type": "function", "id": id, "function": call })
            })
            .collect();
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        let mut answer = self.head;
        answer.insert("object".to_owned(), Value::from("chat.completion"));
        answer.insert(
            "choices".to_owned(),
            json!([{ "index": 0, "message": message, "finish_reason": self.finish_reason }]),
        );
        if let Some(usage) = self.usage {
            answer.insert("usage".to_owned(), usage);
        }
        Some(Value::Object(answer))
    }
}

impl Assembly {
    fn call(&mut self, piece: &Value) {
        let index = piece
            .get("index")
            .and_then(Value::as_u64)
            .and_then(|index| usize::try_from(index).ok());
        let index = index.unwrap_or(self.calls.len());
        if index >= MAX_CALLS {
            return;
        }
        while self.calls.len() <= index {
            self.calls.push(Object::new());
        }
        let call = &mut self.calls[index];
        if let Some(id) = piece
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
        {
            call.insert("id".to_owned(), Value::from(id));
        }
        let Some(function) = piece.get("function") else {
            return;
        };
        if let Some(name) = function
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
        {
            call.insert("name".to_owned(), Value::from(name));
        }
        match (function.get("arguments"), call.get_mut("arguments")) {
            (Some(Value::String(more)), Some(Value::String(text))) => text.push_str(more),
            (Some(arguments), None) if !arguments.is_null() => {
                call.insert("arguments".to_owned(), arguments.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ag_providers_http::events::{EventReader, Framing};

    use super::*;

    fn place() -> Place {
        Place {
            family: "f".to_owned(),
            url: "u".to_owned(),
        }
    }

    #[test]
    fn pieces_make_the_whole_wherever_they_are_cut() {
        let events = concat!(
            ": comment\r\n\r\n",
            "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Zo\u{eb}\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"!\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: [DONE]\n\n",
        );
        for step in [1, 2, 7, 1000] {
            let (mut reader, mut assembly) = (EventReader::new(Framing::Events), Assembly::default());
            for piece in events.as_bytes().chunks(step) {
                reader
                    .push(piece, |data| assembly.event(&place(), data, &|_| {}))
                    .expect("event");
            }
            let answer = assembly.finish().expect("complete");
            assert_eq!(
                answer["choices"][0],
                json!({"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"Zoë!",
                    "reasoning_content":"hm","tool_calls":[{"type":"function","id":"c",
                    "function":{"name":"f","arguments":"{\"a\":1}"}}]}})
            );
            assert_eq!(answer["usage"]["prompt_tokens"], 1);
        }
    }

    #[test]
    fn a_cut_stream_is_no_answer() {
        let mut assembly = Assembly::default();
        assembly
            .event(
                &place(),
                "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
                &|_| {},
            )
            .expect("event");
        assert!(assembly.finish().is_none());
        let mut assembly = Assembly::default();
        assert!(assembly.event(&place(), "{", &|_| {}).is_err());
    }
}
