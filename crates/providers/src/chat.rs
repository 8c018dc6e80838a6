//! Chat requests and replies.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{Object, Thinking};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The person, or the workflow in their place.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// Reads a wire word; `developer` is the newer name of `system`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "system" | "developer" => Some(Self::System),
            "user" | "human" => Some(Self::User),
            "assistant" | "ai" => Some(Self::Assistant),
            "tool" | "function" => Some(Self::Tool),
            _ => None,
        }
    }
}

/// Binary content, held or pointed at. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// Sent along.
    Inline {
        /// MIME type.
        content_type: String,
        /// The bytes.
        data: Bytes,
    },
    /// Fetched by the model server.
    Url(String),
}

impl std::fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline { content_type, data } => write!(f, "Inline({content_type}, {} bytes)", data.len()),
            // A presigned URL is a secret.
            Self::Url(_) => f.write_str("Url(..)"),
        }
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentPart {
    /// Text.
    Text(String),
    /// A picture.
    Image(MediaSource),
    /// Sound; `format` such as `wav` or `mp3`.
    Audio {
        /// The recording.
        source: MediaSource,
        /// File format as the wire names it.
        format: String,
    },
    /// A document.
    File {
        /// The document.
        source: MediaSource,
        /// Shown to the model.
        filename: String,
    },
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageContent {
    /// The usual case.
    Text(String),
    /// Text and media mixed.
    Parts(Vec<ContentPart>),
}

impl MessageContent {
    /// All text, parts joined by line breaks.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| match part {
                        ContentPart::Text(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect();
                texts.join("\n")
            }
        }
    }

    /// Adds text at the end, after a blank line when there is text already.
    pub fn append_text(&mut self, addition: &str) {
        match self {
            Self::Text(text) => {
                if !text.is_empty() {
                    text.push_str("\n\n");
                }
                text.push_str(addition);
            }
            Self::Parts(parts) => {
                let last_text = parts.iter_mut().rev().find_map(|part| match part {
                    ContentPart::Text(text) => Some(text),
                    _ => None,
                });
                match last_text {
                    Some(text) => {
                        text.push_str("\n\n");
                        text.push_str(addition);
                    }
                    None => parts.push(ContentPart::Text(addition.to_owned())),
                }
            }
        }
    }
}

impl From<String> for MessageContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for MessageContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What they say.
    pub content: MessageContent,
    /// Calls an assistant turn asked for.
    pub tool_calls: Vec<ToolCall>,
    /// For [`Role::Tool`]: the call this answers.
    pub tool_call_id: Option<String>,
    /// Name of the speaker or tool.
    pub name: Option<String>,
    /// For an assistant turn with calls: [`ChatReply::thinking_blocks`] of the reply that it was.
    pub thinking_blocks: Vec<Value>,
}

impl ChatMessage {
    /// A plain turn.
    #[must_use]
    pub fn new(role: Role, content: impl Into<MessageContent>) -> Self {
        Self {
            role,
            content: content.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            thinking_blocks: Vec::new(),
        }
    }

    /// Instructions.
    #[must_use]
    pub fn system(text: impl Into<MessageContent>) -> Self {
        Self::new(Role::System, text)
    }

    /// A user turn.
    #[must_use]
    pub fn user(text: impl Into<MessageContent>) -> Self {
        Self::new(Role::User, text)
    }

    /// A model turn.
    #[must_use]
    pub fn assistant(text: impl Into<MessageContent>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// A tool's answer.
    #[must_use]
    pub fn tool(call_id: impl Into<String>, text: impl Into<MessageContent>) -> Self {
        Self {
            tool_call_id: Some(call_id.into()),
            ..Self::new(Role::Tool, text)
        }
    }
}

/// A tool offered to the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Unique in the request.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of the arguments, an object schema.
    pub parameters: Value,
}

/// A call the model asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The model server's id; absent in prompted calls.
    pub id: Option<String>,
    /// Tool name.
    pub name: String,
    /// Arguments; empty when the model sent something that is not a JSON object.
    pub arguments: Object,
    /// What the model sent instead of an object. The call is still reported, so that the caller can tell the model.
    pub raw_arguments: Option<String>,
}

impl ToolCall {
    /// Reads arguments as the wire gives them: text of an object, or an object.
    #[must_use]
    pub fn from_wire(id: Option<String>, name: String, arguments: Value) -> Self {
        let (arguments, raw_arguments) = match arguments {
            Value::Object(map) => (map, None),
            Value::Null => (Object::new(), None),
            Value::String(text) if text.trim().is_empty() => (Object::new(), None),
            Value::String(text) => match serde_json::from_str::<Value>(&text) {
                Ok(Value::Object(map)) => (map, None),
                Ok(Value::Null) => (Object::new(), None),
                _ => (Object::new(), Some(text)),
            },
            other => (Object::new(), Some(other.to_string())),
        };
        Self {
            id,
            name,
            arguments,
            raw_arguments,
        }
    }
}

/// Whether the model must, may or must not call tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No calls.
    None,
    /// At least one call.
    Required,
    /// This tool.
    Named(String),
}

/// Sampling; unset fields take the family's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus share.
    pub top_p: Option<f64>,
    /// Candidates per token; only some servers know it.
    pub top_k: Option<u32>,
    /// Tokens the answer may have.
    pub max_output_tokens: Option<u64>,
    /// Negative values mean "none" and are not sent.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// 1 = none; local servers only.
    pub repetition_penalty: Option<f64>,
}

/// The shape the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseSchema {
    /// Name on the wire, `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// An object schema without references (see [`crate::structured::normalise`]).
    pub schema: Object,
}

/// A request for one answer.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// Model name as the server knows it.
    pub model: String,
    /// The conversation.
    pub messages: Vec<ChatMessage>,
    /// Tools on offer.
    pub tools: Vec<ToolSpec>,
    /// How tools are to be used.
    pub tool_choice: ToolChoice,
    /// Sampling.
    pub params: SamplingParams,
    /// Reasoning effort.
    pub thinking: Option<Thinking>,
    /// Schema for a native structured answer.
    pub response_schema: Option<ResponseSchema>,
    /// Prefix-cache key for servers that take one.
    pub prompt_cache_key: Option<String>,
    /// Same for every try after a crash; sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Whose call this is (`run_id`, `node_id`, `session_id`, ...). Told to a model service of our own (split mode),
    /// never to a vendor.
    pub trace: Object,
    /// Limit of the whole call.
    pub timeout: Option<Duration>,
    /// Further body members, merged at top level.
    pub extra: Object,
}

impl ChatRequest {
    /// A request with one user message.
    #[must_use]
    pub fn prompt(model: impl Into<String>, text: impl Into<MessageContent>) -> Self {
        Self {
            model: model.into(),
            messages: vec![ChatMessage::user(text)],
            ..Self::default()
        }
    }

    /// Adds to the system text, in front of the conversation when there is none yet.
    pub fn append_system(&mut self, text: &str) {
        match self
            .messages
            .iter_mut()
            .find(|message| message.role == Role::System)
        {
            Some(message) => message.content.append_text(text),
            None => self.messages.insert(0, ChatMessage::system(text)),
        }
    }

    /// The last user turn.
    pub fn last_user_mut(&mut self) -> Option<&mut ChatMessage> {
        self.messages
            .iter_mut()
            .rev()
            .find(|message| message.role == Role::User)
    }
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt.
    pub input_tokens: u64,
    /// Answer, reasoning included.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Part of the prompt that was served from the server's cache.
    pub cached_input_tokens: Option<u64>,
    /// Part of the prompt that was written to the server's cache.
    pub cache_write_tokens: Option<u64>,
    /// Part of the answer that was reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// The shape of ledger records: both naming habits side by side, cache counts where the server has any.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
        });
        let counts = [
            ("cached_input_tokens", self.cached_input_tokens),
            ("cache_write_tokens", self.cache_write_tokens),
        ];
        for (key, count) in counts {
            if let (Some(count), Some(map)) = (count, value.as_object_mut()) {
                map.insert(key.to_owned(), count.into());
            }
        }
        value
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct ChatReply {
    /// Text; absent when the model only called tools.
    pub content: Option<String>,
    /// Reasoning that the server reported apart from the text.
    pub reasoning: Option<String>,
    /// Calls asked for.
    pub tool_calls: Vec<ToolCall>,
    /// Reasoning in the server's own form, for servers that want it back, unchanged, with the results of the calls
    /// (Anthropic: `thinking` with its signature, `redacted_thinking`). Empty everywhere else.
    pub thinking_blocks: Vec<Value>,
    /// Why the answer ended: `stop`, `length`, `tool_calls`, ...
    pub finish_reason: Option<String>,
    /// Token counts, when reported.
    pub usage: Option<Usage>,
    /// Model as the server named it.
    pub model: String,
    /// The server's answer as it came.
    pub raw_response: Value,
    /// `{"url", "payload"}` as sent, without headers and so without secrets.
    pub provider_request: Value,
    /// The server's or a proxy's id of the exchange.
    pub trace_id: Option<String>,
    /// Whole call.
    pub gen_time_ms: f64,
    /// First token, when streamed.
    pub ttft_ms: Option<f64>,
    /// Requests that were adapted or parameters that were left out.
    pub warnings: Vec<String>,
}

impl ChatReply {
    /// Whether the token limit ended the answer.
    #[must_use]
    pub fn truncated(&self) -> bool {
        matches!(
            self.finish_reason.as_deref(),
            Some("length" | "max_tokens" | "max_output_tokens")
        )
    }
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatDelta {
    /// Text.
    Content(String),
    /// Reasoning.
    Reasoning(String),
}
