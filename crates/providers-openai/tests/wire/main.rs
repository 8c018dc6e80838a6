//! The wire against a scripted server: what is sent, what is read, what is tried again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ag_providers::media::{EmbedRequest, ImageRequest, MediaFile, SpeechRequest, TranscribeRequest};
use ag_providers::structured::{generate, normalise};
use ag_providers::{
    CapabilityTable, ChatDelta, ChatRequest, EndpointOrigin, ProviderClient, ProviderDirectory,
    ProviderError, ProviderQuery, RetryPolicy, Support, Thinking, ToolSpec,
};
use ag_providers_http::testkit::{Reply, Server};
use ag_providers_http::{EnvironmentDirectory, HttpProviders, HttpSettings, ProviderSettings};
use ag_providers_openai::OpenAiWire;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const KEY: &str = "sk-very-secret";

fn providers(settings: HttpSettings) -> Arc<HttpProviders> {
    let retry = RetryPolicy {
        base_delay: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let table = Arc::new(CapabilityTable::built_in());
    let providers = HttpProviders::new(HttpSettings { retry, ..settings }, table).expect("providers");
    Arc::new(providers.with_wire(Arc::new(OpenAiWire::default())))
}

/// A client of the environment in which every family leads to `base`.
async fn client_of(providers: &Arc<HttpProviders>, provider: &str, base: &str) -> ProviderClient {
    let vars: HashMap<&str, &str> = HashMap::from([
        ("OPENAI_BASE_URL", base),
        ("OPENAI_API_KEY", KEY),
        ("VLLM_BASE_URL", base),
        ("LMSTUDIO_BASE_URL", base),
        ("OPENROUTER_BASE_URL", base),
        ("OPENROUTER_API_KEY", KEY),
        ("OPENROUTER_APP_NAME", "gateway"),
        ("PORTKEY_BASE_URL", base),
        ("PORTKEY_API_KEY", KEY),
        ("PORTKEY_VIRTUAL_KEY", "vk"),
    ]);
    let env = ProviderSettings::from_lookup(|name| vars.get(name).map(|value| (*value).to_owned()));
    let directory = EnvironmentDirectory::new(env, Arc::clone(providers));
    let query = ProviderQuery {
        origin: EndpointOrigin::Operator,
        ..ProviderQuery::new("plane", provider)
    };
    directory.resolve(query).await.expect("endpoint")
}

async fn client(provider: &str, server: &Server) -> ProviderClient {
    client_of(&providers(HttpSettings::default()), provider, &server.base).await
}

fn request() -> ChatRequest {
    ChatRequest::prompt("gpt-4o-mini", "hello")
}

async fn chat(client: &ProviderClient, req: ChatRequest) -> Result<ag_providers::ChatReply, ProviderError> {
    client.chat.chat(req, CancellationToken::new()).await
}

#[tokio::test]
async fn success() {
    let server = Server::start(Some(vec!["gpt-4o-mini"]), vec![Reply::text("hi")]).await;
    let client = client("openai-compatible", &server).await;
    let mut req = request();
    req.idempotency_key = Some("run/node/1".to_owned());
    req.headers
        .insert("X-AbstractCore-Run-Id".to_owned(), "run\u{e9}".to_owned());
    let reply = chat(&client, req.clone()).await.expect("reply");
    assert_eq!(reply.content.as_deref(), Some("hi"));
    assert_eq!(reply.usage.expect("usage").total_tokens, 18);
    assert_eq!(
        reply.provider_request["url"],
        format!("{}/chat/completions", server.base)
    );
    let post = &server.posts()[0];
    assert_eq!(reply.provider_request["payload"], post.body);
    assert_eq!(post.path, "/v1/chat/completions");
    assert_eq!(post.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(post.headers["idempotency-key"], "run/node/1");
    assert_eq!(post.headers["x-abstractcore-run-id"], "run?");
    assert!(!format!("{reply:?}").contains(KEY));

    // The list is asked for once per model and process.
    chat(&client, req).await.expect("reply");
    assert_eq!(
        server.seen().iter().filter(|seen| seen.method == "GET").count(),
        1
    );
}

#[tokio::test]
async fn unknown_model_lists_what_exists_and_a_missing_list_is_ignored() {
    let providers = providers(HttpSettings::default());
    let server = Server::start(Some(vec!["b", "a"]), vec![Reply::text("hi")]).await;
    let error = chat(
        &client_of(&providers, "openai-compatible", &server.base).await,
        request(),
    )
    .await
    .expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "Model 'gpt-4o-mini' not found for provider openai-compatible. Available models (2): a, b"
    );
    assert!(server.posts().is_empty());
    // Routers are not asked beforehand.
    chat(&client_of(&providers, "portkey", &server.base).await, request())
        .await
        .expect("reply");

    let server = Server::start(None, vec![Reply::text("hi")]).await;
    chat(&client_of(&providers, "vllm", &server.base).await, request())
        .await
        .expect("reply");
}

#[tokio::test]
async fn a_404_is_explained_by_the_list() {
    let server = Server::start(Some(vec!["a"]), vec![Reply::error(404, "no such model")]).await;
    let error = chat(&client("portkey", &server).await, request())
        .await
        .expect_err("missing");
    assert!(matches!(error, ProviderError::ModelNotFound { .. }), "{error}");
    let server = Server::start(None, vec![Reply::error(404, "unknown path")]).await;
    let error = chat(&client("portkey", &server).await, request())
        .await
        .expect_err("missing");
    assert!(
        error
            .to_string()
            .starts_with("Portkey server API error (404): unknown path ["),
        "{error}"
    );
}

#[tokio::test]
async fn tool_calls_and_bad_arguments() {
    let message = json!({"role":"assistant","content":"let me look","tool_calls":[
        {"id":"call_1_1","type":"function","function":{"name":"read_file","arguments":"{\"file_path\":\"a.txt\"}"}},
        {"id":"abc","type":"function","function":{"name":"read_file","arguments":"{not json"}}]});
    let server = Server::start(None, vec![Reply::message(&message)]).await;
    let mut req = request();
    req.tools = vec![tool()];
    let reply = chat(&client("openai-compatible", &server).await, req)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("let me look"));
    assert_eq!(reply.tool_calls[0].arguments["file_path"], "a.txt");
    assert!(reply.tool_calls[1].arguments.is_empty());
    assert_eq!(reply.tool_calls[1].raw_arguments.as_deref(), Some("{not json"));
    assert_eq!(
        server.posts()[0].body["tools"][0]["function"]["name"],
        "read_file"
    );
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: "read_file".to_owned(),
        description: "Reads a file".to_owned(),
        parameters: json!({"type":"object","properties":{"file_path":{"type":"string"}}}),
    }
}

#[tokio::test]
async fn prompted_tools_round_trip() {
    let text = "<tool_call>{\"name\":\"read_file\",\"arguments\":{\"file_path\":\"a\"}}</tool_call>";
    let server = Server::start(None, vec![Reply::text(text)]).await;
    let mut req = ChatRequest::prompt("gemma-2-9b", "read a");
    req.tools = vec![tool()];
    let reply = chat(&client("vllm", &server).await, req).await.expect("reply");
    assert_eq!(reply.tool_calls[0].arguments["file_path"], "a");
    let body = &server.posts()[0].body;
    assert!(body.get("tools").is_none());
    assert!(
        body["messages"][0]["content"]
            .as_str()
            .expect("system")
            .contains("\"name\":\"read_file\"")
    );
}

/// How many requests a failing server sees, and what the client is told. The numbers are recorded.
#[tokio::test]
async fn failures_and_their_attempts() {
    let retry_after = |value: &str| {
        Reply::Json(
            429,
            vec![("retry-after", value.to_owned())],
            json!({"error":{"message":"slow down"}}),
        )
    };
    let cases: Vec<(Reply, usize, &str)> = vec![
        (
            Reply::error(400, "bad request"),
            1,
            "OpenAI-compatible server invalid request error (400): bad request [",
        ),
        (
            Reply::error(401, "bad key sk-very-secret"),
            1,
            "OpenAI-compatible server authentication error (401): bad key *** [",
        ),
        (
            Reply::error(500, "boom"),
            2,
            "OpenAI-compatible server API error (500): boom [",
        ),
        (
            retry_after("0.01"),
            3,
            "OpenAI-compatible server rate limit error (429): slow down [",
        ),
        (
            retry_after("9999"),
            1,
            "OpenAI-compatible server rate limit error (429): slow down [",
        ),
        (Reply::Close, 2, "OpenAI-compatible server connection lost: "),
        (
            Reply::Raw("text/html", b"<html>gateway error</html>".to_vec()),
            2,
            "OpenAI-compatible server returned an unreadable response: not JSON",
        ),
        (
            Reply::Cut(b"{\"choices\":[".to_vec()),
            2,
            "OpenAI-compatible server connection lost: ",
        ),
        (
            Reply::json(json!({"choices":[]})),
            2,
            "OpenAI-compatible server returned an unreadable response: no choices",
        ),
        (
            Reply::Raw("application/json", vec![b' '; 5000]),
            1,
            "OpenAI-compatible server response is larger than 4096 bytes",
        ),
    ];
    let providers = providers(HttpSettings {
        max_response_bytes: 4096,
        ..HttpSettings::default()
    });
    for (reply, attempts, text) in cases {
        let server = Server::start(None, vec![reply.clone()]).await;
        let client = client_of(&providers, "openai-compatible", &server.base).await;
        let error = chat(&client, request()).await.expect_err("fails");
        assert!(error.to_string().starts_with(text), "{error}");
        assert_eq!(server.posts().len(), attempts, "{reply:?}");
        assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
        assert!(!error.to_string().contains("html"), "{error}");
    }
}

#[tokio::test]
async fn one_failure_is_forgiven() {
    let server = Server::start(None, vec![Reply::error(500, "hiccup"), Reply::text("recovered")]).await;
    let mut req = request();
    req.idempotency_key = Some("k".to_owned());
    let reply = chat(&client("openai-compatible", &server).await, req)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("recovered"));
    let keys: Vec<String> = server
        .posts()
        .iter()
        .map(|seen| seen.headers["idempotency-key"].clone())
        .collect();
    assert_eq!(keys, ["k", "k/2"]);
}

#[tokio::test]
async fn refused_connection_is_a_connect_error() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let base = format!("http://{}/v1", listener.local_addr().expect("address"));
    drop(listener);
    let client = client_of(&providers(HttpSettings::default()), "portkey", &base).await;
    let error = chat(&client, request()).await.expect_err("refused");
    assert!(matches!(error, ProviderError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn cancelling_closes_the_socket() {
    let server = Server::start(None, vec![Reply::Hang]).await;
    let client = client("openai-compatible", &server).await;
    let cancel = CancellationToken::new();
    let call = tokio::spawn({
        let cancel = cancel.clone();
        async move { client.chat.chat(request(), cancel).await }
    });
    server.hanging().await;
    let started = Instant::now();
    cancel.cancel();
    let error = call.await.expect("task").expect_err("cancelled");
    assert_eq!(error, ProviderError::Cancelled);
    tokio::time::timeout(Duration::from_secs(1), server.closed())
        .await
        .expect("socket closed");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn time_limit() {
    let server = Server::start(None, vec![Reply::Hang]).await;
    let mut req = request();
    req.timeout = Some(Duration::from_millis(20));
    let error = chat(&client("openai-compatible", &server).await, req)
        .await
        .expect_err("late");
    assert!(
        error
            .to_string()
            .starts_with("OpenAI-compatible server timed out after 0.02 s ["),
        "{error}"
    );
    assert_eq!(server.posts().len(), 3);
}

#[tokio::test]
async fn families_differ_in_headers_and_bodies() {
    let providers = providers(HttpSettings::default());
    let body = |server: &Server| server.posts()[0].body.clone();
    for (provider, model, check) in [
        (
            "vllm",
            "qwen3-8b",
            json!({"chat_template_kwargs":{"enable_thinking":false}}),
        ),
        (
            "lmstudio",
            "qwen3-8b",
            json!({"enable_thinking":false,"enableThinking":false}),
        ),
        (
            "openai",
            "gpt-5.1",
            json!({"reasoning_effort":"none","max_completion_tokens":128_000}),
        ),
    ] {
        let server = Server::start(None, vec![Reply::text("x")]).await;
        let mut req = ChatRequest::prompt(model, "q");
        req.thinking = Some(Thinking::Off);
        let client = client_of(&providers, provider, &server.base).await;
        let reply = chat(&client, req).await.expect("reply");
        assert!(reply.warnings.is_empty(), "{provider}: {:?}", reply.warnings);
        let sent = body(&server);
        for (key, value) in check.as_object().expect("object") {
            assert_eq!(&sent[key], value, "{provider} {key}");
        }
        assert!(sent.get("extra_body").is_none());
    }
    let server = Server::start(None, vec![Reply::text("x")]).await;
    let portkey = client_of(&providers, "portkey", &server.base).await;
    chat(&portkey, request()).await.expect("reply");
    let headers = &server.posts()[0].headers;
    assert_eq!(headers["x-portkey-api-key"], KEY);
    assert_eq!(headers["x-portkey-virtual-key"], "vk");
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    let server = Server::start(None, vec![Reply::text("x")]).await;
    let openrouter = client_of(&providers, "openrouter", &server.base).await;
    let mut req = request();
    req.thinking = Some(Thinking::High);
    let reply = chat(&openrouter, req).await.expect("reply");
    assert_eq!(reply.warnings.len(), 1);
    assert_eq!(server.posts()[0].headers["x-title"], "gateway");
}

#[tokio::test]
async fn structured_answers_are_repaired() {
    let schema = normalise(&json!({"name":"x","age":1}), None).expect("schema");
    let replies = vec![
        Reply::text("I would rather not"),
        Reply::text("{\"name\":\"Zo\u{eb}\"}"),
        Reply::text("```json\n{\"name\":\"Zo\u{eb}\",\"age\":30}\n```"),
    ];
    let server = Server::start(None, replies).await;
    let client = client("openai-compatible", &server).await;
    let cancel = CancellationToken::new();
    let reply = generate(
        client.chat.as_ref(),
        &request(),
        &schema,
        Support::Native,
        &cancel,
    )
    .await
    .expect("fits");
    assert_eq!(reply.data, json!({"name":"Zo\u{eb}","age":30}));
    let posts = server.posts();
    let native: Vec<bool> = posts
        .iter()
        .map(|seen| seen.body.get("response_format").is_some())
        .collect();
    assert_eq!(native, [true, false, false]);
    let told = posts[2].body["messages"][0]["content"].as_str().expect("text");
    assert!(told.contains("$: missing required property 'age'"), "{told}");
}

#[tokio::test]
async fn streamed_answers() {
    let events = concat!(
        "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );
    let whole = Reply::text("whole");
    let replies = vec![Reply::Raw("text/event-stream", events.as_bytes().to_vec()), whole];
    let server = Server::start(None, replies).await;
    let client = client("openai-compatible", &server).await;
    let pieces = Mutex::new(Vec::new());
    let sink = |delta| pieces.lock().expect("pieces").push(delta);
    let reply = client
        .chat
        .chat_streaming(request(), CancellationToken::new(), &sink)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("Hello"));
    assert_eq!(reply.usage.expect("usage").total_tokens, 3);
    assert!(reply.ttft_ms.is_some());
    assert_eq!(
        *pieces.lock().expect("pieces"),
        [
            ChatDelta::Content("Hel".to_owned()),
            ChatDelta::Content("lo".to_owned())
        ]
    );
    assert_eq!(server.posts()[0].body["stream"], true);
    let reply = client
        .chat
        .chat_streaming(request(), CancellationToken::new(), &sink)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("whole"));
}

#[tokio::test]
async fn embeddings_and_model_list() {
    let vectors =
        json!({"model":"e","data":[{"index":0,"embedding":[1.0,0.0]},{"index":1,"embedding":[0.0,1.0]}]});
    let server = Server::start(Some(vec!["z", "e", "z"]), vec![Reply::json(vectors)]).await;
    let client = client("openai-compatible", &server).await;
    let req = EmbedRequest {
        model: "e".to_owned(),
        input: vec!["a".to_owned(), "b".to_owned()],
        ..EmbedRequest::default()
    };
    let embedder = client.embedder.as_ref().expect("embedder");
    let reply = embedder
        .embed(req, CancellationToken::new())
        .await
        .expect("vectors");
    assert_eq!(reply.vectors, [[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(server.posts()[0].body, json!({"input":["a","b"],"model":"e"}));
    let catalogue = client.catalogue.as_ref().expect("catalogue");
    let models = catalogue
        .list_models(CancellationToken::new())
        .await
        .expect("list");
    assert_eq!(
        models.iter().map(|info| info.id.as_str()).collect::<Vec<_>>(),
        ["e", "z"]
    );
}

#[tokio::test]
async fn media() {
    let png = "iVBORw0KGgo=";
    let replies = vec![
        Reply::json(json!({"data":[{"b64_json":png}]})),
        Reply::json(json!({"data":[{"b64_json":png}]})),
        Reply::Raw("audio/wav", b"RIFFxxxx".to_vec()),
        Reply::json(json!({"text":"hello"})),
        Reply::json(json!({"data":[{"url":"http://169.254.169.254/latest/meta-data"}]})),
        Reply::json(json!({"data":[{"url":"http://127.0.0.1:1/internal"}]})),
    ];
    let server = Server::start(None, replies).await;
    let client = client("openai", &server).await;
    let cancel = CancellationToken::new();
    let images = client.images.as_ref().expect("images");
    let make = ImageRequest {
        model: "i".to_owned(),
        prompt: "a cat".to_owned(),
        ..ImageRequest::default()
    };
    let picture = images
        .image(make.clone(), &|_| {}, cancel.clone())
        .await
        .expect("picture");
    assert_eq!(picture[0].content_type, "image/png");
    assert_eq!(
        server.posts()[0].body,
        json!({"prompt":"a cat","n":1,"model":"i"})
    );

    let file = MediaFile {
        filename: "a.png".to_owned(),
        content_type: "image/png".to_owned(),
        data: bytes::Bytes::from_static(b"PNGDATA"),
    };
    let edit = ImageRequest {
        images: vec![file.clone()],
        ..make.clone()
    };
    images
        .image(edit, &|_| {}, cancel.clone())
        .await
        .expect("picture");
    let sent = String::from_utf8_lossy(&server.posts()[1].raw).into_owned();
    assert!(
        sent.contains("name=\"image[]\"; filename=\"a.png\"") && sent.contains("PNGDATA"),
        "{sent}"
    );

    let speak = SpeechRequest {
        model: "t".to_owned(),
        input: "hi".to_owned(),
        voice: "alloy".to_owned(),
        format: "wav".to_owned(),
        ..SpeechRequest::default()
    };
    let speech = client
        .speech
        .as_ref()
        .expect("speech")
        .speak(speak, cancel.clone())
        .await
        .expect("sound");
    assert_eq!(
        (speech.data.as_ref(), speech.content_type.as_str()),
        (b"RIFFxxxx".as_slice(), "audio/wav")
    );

    let listen = TranscribeRequest {
        model: "w".to_owned(),
        file,
        ..TranscribeRequest::default()
    };
    let transcriber = client.transcriber.as_ref().expect("transcriber");
    assert_eq!(
        transcriber
            .transcribe(listen, cancel.clone())
            .await
            .expect("text")
            .text,
        "hello"
    );
    let sent = String::from_utf8_lossy(&server.posts()[3].raw).into_owned();
    assert!(!sent.contains("name=\"language\""), "the server guesses: {sent}");

    // A server must not make us fetch what only we can reach.
    for _ in 0..2 {
        let error = images
            .image(make.clone(), &|_| {}, cancel.clone())
            .await
            .expect_err("refused");
        assert!(matches!(error, ProviderError::AddressRefused { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_endless_stream_is_cut() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"aaaaaaaaaaaaaaaa\"}}]}\n\n";
    let server = Server::start(
        None,
        vec![Reply::Raw("text/event-stream", event.repeat(200).into_bytes())],
    )
    .await;
    let settings = HttpSettings {
        max_response_bytes: 4096,
        ..HttpSettings::default()
    };
    let client = client_of(&providers(settings), "openai-compatible", &server.base).await;
    let error = client
        .chat
        .chat_streaming(request(), CancellationToken::new(), &|_| {})
        .await
        .expect_err("cut");
    assert!(
        matches!(
            error,
            ProviderError::TooLarge {
                limit_bytes: 4096,
                ..
            }
        ),
        "{error}"
    );
}
