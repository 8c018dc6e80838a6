//! The native wires, and split mode, against a scripted server: what is sent, what is read.

mod anthropic;
mod ollama;
mod split;
mod split_media;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ag_providers::{
    CapabilityTable, ChatMessage, ChatReply, ChatRequest, EndpointOrigin, ProviderClient, ProviderDirectory,
    ProviderError, ProviderQuery, RetryPolicy, ToolCall, ToolSpec,
};
use ag_providers_http::{EnvironmentDirectory, HttpProviders, HttpSettings, ProviderSettings};
use ag_providers_native::{AnthropicWire, OllamaWire};
use ag_providers_openai::{AbstractCoreWire, OpenAiWire};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const KEY: &str = "sk-very-secret";

fn directory(vars: &[(&str, &str)]) -> EnvironmentDirectory {
    let vars: HashMap<&str, &str> = vars.iter().copied().collect();
    let env = ProviderSettings::from_lookup(|name| vars.get(name).map(|value| (*value).to_owned()));
    let retry = RetryPolicy {
        base_delay: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let settings = HttpSettings {
        retry,
        ..HttpSettings::default()
    };
    let providers = HttpProviders::new(settings, Arc::new(CapabilityTable::built_in())).expect("providers");
    let providers = providers
        .with_wire(Arc::new(OpenAiWire::default()))
        .with_wire(Arc::new(AnthropicWire))
        .with_wire(Arc::new(OllamaWire))
        .with_wire(Arc::new(AbstractCoreWire))
        .with_split(env.split().cloned());
    EnvironmentDirectory::new(env, Arc::new(providers))
}

async fn client(vars: &[(&str, &str)], provider: &str) -> ProviderClient {
    let query = ProviderQuery {
        origin: EndpointOrigin::Operator,
        ..ProviderQuery::new("plane", provider)
    };
    directory(vars).resolve(query).await.expect("endpoint")
}

async fn chat(client: &ProviderClient, req: ChatRequest) -> Result<ChatReply, ProviderError> {
    client.chat.chat(req, CancellationToken::new()).await
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: "mcp::files::read".to_owned(),
        description: "Reads a file".to_owned(),
        parameters: json!({"type":"object","properties":{"path":{"type":"string"},"line":{"type":"integer"}},
            "required":["path"]}),
    }
}

/// A conversation with a call and its answer.
fn with_tools(model: &str) -> ChatRequest {
    let mut req = ChatRequest::prompt(model, "read a");
    req.tools = vec![tool()];
    let call = ToolCall::from_wire(Some("c1".to_owned()), tool().name, json!({"path":"a"}));
    req.messages.push(ChatMessage {
        tool_calls: vec![call],
        ..ChatMessage::assistant("")
    });
    req.messages.push(ChatMessage::tool("c1", "[read]: A"));
    req
}
