//! The wires under test, and a client of a server that is about to be sick.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ag_providers::circuit::CircuitSettings;
use ag_providers::retry::Pause;
use ag_providers::{CapabilityTable, EndpointOrigin, ProviderClient, ProviderDirectory, ProviderQuery};
use ag_providers_http::testkit::{Reply, Server};
use ag_providers_http::{EnvironmentDirectory, HttpProviders, HttpSettings, ProviderSettings};
use ag_providers_native::{AnthropicWire, OllamaWire};
use ag_providers_openai::{AbstractCoreWire, OpenAiWire};
use async_trait::async_trait;
use serde_json::json;

/// A wire and what it looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) name: &'static str,
    pub(crate) model: &'static str,
    pub(crate) stream_type: &'static str,
}

pub(crate) const WIRES: [Wire; 4] = [
    Wire {
        name: "vllm",
        model: "gpt-4o-mini",
        stream_type: "text/event-stream",
    },
    Wire {
        name: "anthropic",
        model: "claude-sonnet-4-5",
        stream_type: "text/event-stream",
    },
    Wire {
        name: "ollama",
        model: "qwen3:4b",
        stream_type: "application/x-ndjson",
    },
    // Another service in between.
    Wire {
        name: SPLIT,
        model: "gpt-4o-mini",
        stream_type: "text/event-stream",
    },
];

const SPLIT: &str = "split";

impl Wire {
    /// A whole answer.
    pub(crate) fn answer(self, text: &str) -> Reply {
        match self.name {
            "anthropic" => {
                Reply::json(json!({"content":[{"type":"text","text":text}],"stop_reason":"end_turn"}))
            }
            "ollama" => Reply::json(json!({"message":{"content":text},"done":true,"done_reason":"stop"})),
            _ => Reply::text(text),
        }
    }

    /// A stream that says "abc", a letter per piece, and then that it is done.
    pub(crate) fn pieces(self) -> Vec<Vec<u8>> {
        let mut pieces: Vec<String> = ["a", "b", "c"].iter().map(|letter| self.piece(letter)).collect();
        pieces.push(match self.name {
            "anthropic" => {
                "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n".to_owned()
            }
            "ollama" => "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n".to_owned(),
            _ => "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned(),
        });
        pieces.into_iter().map(String::into_bytes).collect()
    }

    fn piece(self, letter: &str) -> String {
        match self.name {
            "anthropic" => {
                let delta = json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":letter}});
                // Blocks are announced; doing so each time is harmless for the first letter only.
                let start =
                    json!({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}});
                match letter {
                    "a" => format!("data: {start}\n\ndata: {delta}\n\n"),
                    _ => format!("data: {delta}\n\n"),
                }
            }
            "ollama" => format!("{}\n", json!({"message":{"content":letter},"done":false})),
            _ => format!("data: {}\n\n", json!({"choices":[{"delta":{"content":letter}}]})),
        }
    }
}

/// What a case changes.
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) limit: usize,
    pub(crate) open_for: Duration,
}

/// Pauses that are recorded, not made.
#[derive(Default)]
struct Pauses(Mutex<Vec<Option<Duration>>>);

#[async_trait]
impl Pause for Pauses {
    async fn pause(&self, _: Duration, retry_after: Option<Duration>) {
        self.0.lock().expect("pauses").push(retry_after);
    }
}

/// A server and a client of it.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) client: ProviderClient,
    pauses: Arc<Pauses>,
}

impl Rig {
    pub(crate) async fn new(wire: Wire, replies: Vec<Reply>) -> Self {
        Self::with(wire, replies, |_| {}).await
    }

    pub(crate) async fn with(wire: Wire, replies: Vec<Reply>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            timeout: Duration::from_secs(60),
            limit: 64 * 1024 * 1024,
            open_for: Duration::from_secs(60),
        };
        change(&mut settings);
        let server = Server::start(None, replies).await;
        let mut vars = HashMap::from([
            ("VLLM_BASE_URL", server.base.as_str()),
            ("ANTHROPIC_BASE_URL", server.root.as_str()),
            ("ANTHROPIC_API_KEY", "k"),
            ("OLLAMA_HOST", server.root.as_str()),
        ]);
        let split = wire.name == SPLIT;
        if split {
            vars.insert("ABSTRACTCORE_SERVER_BASE_URL", server.root.as_str());
        }
        let env = ProviderSettings::from_lookup(|name| vars.get(name).map(|value| (*value).to_owned()));
        let http = HttpSettings {
            max_response_bytes: settings.limit,
            circuit: CircuitSettings {
                open_for: settings.open_for,
                ..CircuitSettings::default()
            },
            ..HttpSettings::default()
        };
        let pauses = Arc::new(Pauses::default());
        let providers = HttpProviders::new(http, Arc::new(CapabilityTable::built_in())).expect("providers");
        let providers = providers
            .with_pause(pauses.clone())
            .with_wire(Arc::new(OpenAiWire::default()))
            .with_wire(Arc::new(AnthropicWire))
            .with_wire(Arc::new(OllamaWire))
            .with_wire(Arc::new(AbstractCoreWire))
            .with_split(env.split().cloned());
        let directory = EnvironmentDirectory::new(env.with_timeout(settings.timeout), Arc::new(providers));
        let query = ProviderQuery {
            origin: EndpointOrigin::Operator,
            ..ProviderQuery::new("plane", if split { "vllm" } else { wire.name })
        };
        let client = directory.resolve(query).await.expect("endpoint");
        Self {
            server,
            client,
            pauses,
        }
    }

    /// What the server asked for before each further try.
    pub(crate) fn pauses(&self) -> Vec<Option<Duration>> {
        self.pauses.0.lock().expect("pauses").clone()
    }
}
