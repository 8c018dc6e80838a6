//! Tool calls for models without native ones: the tools are described in the system text, calls are read from the
//! answer.
//!
//! One format is asked for, the ones that models are known to fall back to are read as well.
//!
//! Names that no protocol takes (those of tool servers have colons) are replaced on the way out and put back on the way
//! in ([`names`]).

mod literal;
mod names;
mod parse;
mod render;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use parse::{ParsedText, parse_calls};
pub use render::to_prompted;

use names::SafeNames;

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

    /// The pieces of a stream may hold call markup, so the text is given at the end instead.
    async fn prompted(
        &self,
        mut req: ChatRequest,
        offered: &[String],
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        to_prompted(&mut req);
        let Some(sink) = sink else {
            return Ok(finish(self.inner.chat(req, cancel).await?, offered, true));
        };
        if offered.is_empty() {
            return self.inner.chat_streaming(req, cancel, sink).await;
        }
        let reply = finish(self.inner.chat(req, cancel).await?, offered, true);
        if let Some(content) = &reply.content {
            sink(ChatDelta::Content(content.clone()));
        }
        Ok(reply)
    }
}

fn offered(req: &ChatRequest) -> Vec<String> {
    req.tools.iter().map(|tool| tool.name.clone()).collect()
}

/// Ollama and vLLM say so in these words.
fn refuses_tools(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "does not support tools",
        "tool choice requires",
        "tools are not supported",
    ]
    .iter()
    .any(|words| message.contains(words))
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
    /// Asks; a server that refuses tools although the table says that the model has them is asked again without.
    async fn ask(
        &self,
        mut req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        let offered = offered(&req);
        if self.table.lookup(&req.model).tools != Support::Native {
            return self.prompted(req, &offered, cancel, sink).await;
        }
        let names = SafeNames::apply(&mut req);
        let spare = (!offered.is_empty()).then(|| req.clone());
        let answer = self.inner.ask(req, cancel.clone(), sink).await;
        let mut reply = match (answer, spare) {
            (Err(ProviderError::InvalidRequest(failure)), Some(mut req))
                if refuses_tools(&failure.message) =>
            {
                names.restore_request(&mut req);
                return self.prompted(req, &offered, cancel, sink).await;
            }
            (answer, _) => answer?,
        };
        names.restore(&mut reply);
        Ok(finish(reply, &offered, false))
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

    #[tokio::test]
    async fn a_server_that_refuses_tools_is_asked_without() {
        let refusal = ProviderError::InvalidRequest(crate::error::UpstreamFailure {
            family: "Ollama".to_owned(),
            status: 400,
            message: "registry.ollama.ai/library/x does not support tools".to_owned(),
            url: "http://h".to_owned(),
            retry_after: None,
        });
        let call = r#"<tool_call>{"name":"mcp::files::read","arguments":{}}</tool_call>"#;
        let fake = Arc::new(FakeChat::new(vec![Step::fail(refusal), Step::text(call)]));
        let model = ToolAdaptingModel::new(fake.clone(), Arc::new(CapabilityTable::built_in()));
        let mut req = ChatRequest::prompt("gpt-4o-mini", "x");
        req.tools = vec![ToolSpec {
            name: "mcp::files::read".to_owned(),
            ..tool()
        }];
        let reply = model.chat(req, CancellationToken::new()).await.expect("answer");
        assert_eq!(reply.tool_calls[0].name, "mcp::files::read");
        let sent = fake.requests();
        assert_eq!(sent[0].tools[0].name, "mcp__files__read");
        assert!(sent[1].tools.is_empty());
        assert!(sent[1].messages[0].content.text().contains("mcp::files::read"));
    }
}
