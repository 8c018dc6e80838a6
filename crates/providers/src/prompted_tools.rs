//! Tool calls for models without native ones: the tools are described in the system text, calls are read from the
//! answer.
//!
//! One format is asked for, the ones that models are known to fall back to are read as well.

mod parse;
mod render;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use parse::{ParsedText, parse_calls};
pub use render::to_prompted;

use crate::capabilities::{CapabilityTable, Support};
use crate::chat::{ChatDelta, ChatReply, ChatRequest};
use crate::error::ProviderError;
use crate::ports::{ChatModel, DeltaSink};

/// A chat model that gives every model tools: native where the table says so, prompted otherwise.
pub struct ToolAdaptingModel {
    inner: Arc<dyn ChatModel>,
    table: Arc<CapabilityTable>,
}

impl std::fmt::Debug for ToolAdaptingModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolAdaptingModel").finish_non_exhaustive()
    }
}

impl ToolAdaptingModel {
    /// `table` decides by model name.
    #[must_use]
    pub fn new(inner: Arc<dyn ChatModel>, table: Arc<CapabilityTable>) -> Self {
        Self { inner, table }
    }

    /// The request as the model can take it, and the names of the tools on offer.
    fn prepare(&self, mut req: ChatRequest) -> (ChatRequest, Vec<String>, bool) {
        let names = req.tools.iter().map(|tool| tool.name.clone()).collect();
        let prompted = self.table.lookup(&req.model).tools != Support::Native;
        if prompted {
            to_prompted(&mut req);
        }
        (req, names, prompted)
    }
}

/// Reads calls from the text. A model with native tools may fall back to text too, but for it a bare object is more
/// likely an answer.
fn finish(mut reply: ChatReply, names: &[String], prompted: bool) -> ChatReply {
    if names.is_empty() || !reply.tool_calls.is_empty() {
        return reply;
    }
    let Some(content) = reply.content.as_deref() else {
        return reply;
    };
    let parsed = parse_calls(content, names, prompted);
    if !parsed.calls.is_empty() {
        reply.tool_calls = parsed.calls;
        reply.content = Some(parsed.content);
        if matches!(reply.finish_reason.as_deref(), None | Some("stop")) {
            reply.finish_reason = Some("tool_calls".to_owned());
        }
    }
    reply
}

#[async_trait]
impl ChatModel for ToolAdaptingModel {
    async fn chat(&self, req: ChatRequest, cancel: CancellationToken) -> Result<ChatReply, ProviderError> {
        let (req, names, prompted) = self.prepare(req);
        Ok(finish(self.inner.chat(req, cancel).await?, &names, prompted))
    }

    /// With prompted tools the pieces may hold call markup, so the text is given at the end instead.
    async fn chat_streaming(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: DeltaSink<'_>,
    ) -> Result<ChatReply, ProviderError> {
        let (req, names, prompted) = self.prepare(req);
        if !prompted || names.is_empty() {
            return Ok(finish(
                self.inner.chat_streaming(req, cancel, sink).await?,
                &names,
                prompted,
            ));
        }
        let reply = finish(self.inner.chat(req, cancel).await?, &names, prompted);
        if let Some(content) = &reply.content {
            sink(ChatDelta::Content(content.clone()));
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::{ChatMessage, Role, ToolCall, ToolSpec};
    use crate::fake::{FakeChat, Step};

    fn tool() -> ToolSpec {
        ToolSpec {
            name: "read_file".to_owned(),
            description: "Reads a file".to_owned(),
            parameters: json!({"type":"object","properties":{"file_path":{"type":"string"}},"required":["file_path"]}),
        }
    }

    #[tokio::test]
    async fn round_trip_for_a_model_without_tools() {
        let call =
            r#"Let me look. <tool_call>{"name":"read_file","arguments":{"file_path":"a.txt"}}</tool_call>"#;
        let fake = Arc::new(FakeChat::new(vec![Step::text(call)]));
        let model = ToolAdaptingModel::new(fake.clone(), Arc::new(CapabilityTable::built_in()));
        let mut req = ChatRequest::prompt("gemma-2-9b", "read a.txt");
        req.tools = vec![tool()];
        let previous = ToolCall::from_wire(
            Some("call_0".to_owned()),
            "read_file".to_owned(),
            json!({"file_path":"z"}),
        );
        req.messages.insert(
            0,
            ChatMessage {
                tool_calls: vec![previous],
                ..ChatMessage::assistant("")
            },
        );
        req.messages
            .insert(1, ChatMessage::tool("call_0", "[read_file]: zzz"));
        let reply = model.chat(req, CancellationToken::new()).await.expect("answer");
        assert_eq!(reply.content.as_deref(), Some("Let me look."));
        assert_eq!(reply.tool_calls.len(), 1);
        assert_eq!(reply.tool_calls[0].arguments["file_path"], "a.txt");
        assert_eq!(reply.finish_reason.as_deref(), Some("tool_calls"));

        let sent = &fake.requests()[0];
        assert!(sent.tools.is_empty());
        assert_eq!(sent.messages[0].role, Role::System);
        assert!(sent.messages[0].content.text().contains("read_file"));
        assert!(
            sent.messages
                .iter()
                .all(|message| message.role != Role::Tool && message.tool_calls.is_empty())
        );
        assert!(
            sent.messages[1].content.text().contains(
                "<tool_call>{\"name\":\"read_file\",\"arguments\":{\"file_path\":\"z\"}}</tool_call>"
            )
        );
        assert!(sent.messages[2].content.text().contains("[read_file]: zzz"));
    }

    #[tokio::test]
    async fn native_models_keep_their_tools() {
        let fake = Arc::new(FakeChat::new(vec![Step::text(
            r#"{"name":"read_file","arguments":{}}"#,
        )]));
        let model = ToolAdaptingModel::new(fake.clone(), Arc::new(CapabilityTable::built_in()));
        let mut req = ChatRequest::prompt("gpt-4o-mini", "x");
        req.tools = vec![tool()];
        let reply = model.chat(req, CancellationToken::new()).await.expect("answer");
        assert!(
            reply.tool_calls.is_empty(),
            "a bare object of a native model is an answer"
        );
        assert_eq!(fake.requests()[0].tools.len(), 1);
    }
}
