use std::collections::HashMap;
use std::sync::Mutex;

use ag_providers::media::EmbedRequest;
use ag_providers::{ChatDelta, ChatRequest};
use ag_providers_http::testkit::{Reply, Server};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{chat, client, with_tools};

fn message(message: Value) -> Reply {
    Reply::json(
        json!({"model":"qwen3:4b","message":message,"done":true,"done_reason":"stop",
        "prompt_eval_count":5,"eval_count":3}),
    )
}

async fn start(gets: &[(&str, Value)], replies: Vec<Reply>) -> (Server, ag_providers::ProviderClient) {
    let gets: HashMap<String, Value> = gets
        .iter()
        .map(|(path, value)| ((*path).to_owned(), value.clone()))
        .collect();
    let server = Server::with_gets(gets, replies).await;
    let client = client(&[("OLLAMA_HOST", server.root.as_str())], "ollama").await;
    (server, client)
}

#[tokio::test]
async fn a_call_with_tools() {
    let reply = json!({"role":"assistant","content":"","thinking":"hm",
        "tool_calls":[{"function":{"name":"mcp__files__read","arguments":{"path":"b"}}}]});
    let (server, client) = start(&[], vec![message(reply)]).await;
    let reply = chat(&client, with_tools("qwen3:4b")).await.expect("reply");
    assert_eq!(reply.tool_calls[0].name, "mcp::files::read");
    assert_eq!(reply.tool_calls[0].arguments["path"], "b");
    assert_eq!(reply.reasoning.as_deref(), Some("hm"));
    let sent = &server.posts()[0];
    assert_eq!(sent.path, "/api/chat");
    assert_eq!(
        sent.body["messages"][2],
        json!({"role":"tool","content":"[read]: A","tool_name":"mcp__files__read"})
    );
    assert_eq!(sent.body["tools"][0]["function"]["name"], "mcp__files__read");
    assert!(!sent.headers.contains_key("authorization"));
}

#[tokio::test]
async fn tools_are_prompted_where_the_model_has_none() {
    let refusal = Reply::Json(
        400,
        Vec::new(),
        json!({"error":"registry.ollama.ai/library/qwen3:4b does not support tools"}),
    );
    let call = r#"<tool_call>{"name":"mcp::files::read","arguments":{"path":"b"}}</tool_call>"#;
    let text = message(json!({"role":"assistant","content":call}));
    let (server, client) = start(&[], vec![refusal, text]).await;
    let reply = chat(&client, with_tools("qwen3:4b")).await.expect("reply");
    assert_eq!(reply.tool_calls[0].name, "mcp::files::read");
    let posts = server.posts();
    assert!(posts[0].body.get("tools").is_some() && posts[1].body.get("tools").is_none());
}

#[tokio::test]
async fn streamed_lines() {
    let lines = concat!(
        "{\"model\":\"m\",\"message\":{\"content\":\"Hel\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"content\":\"lo\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":2}\n",
    );
    let whole = Reply::Raw("application/x-ndjson", lines.as_bytes().to_vec());
    let cut = Reply::Raw("application/x-ndjson", lines.as_bytes()[..90].to_vec());
    let (server, client) = start(&[], vec![cut, whole]).await;
    let pieces = Mutex::new(Vec::new());
    let sink = |delta| pieces.lock().expect("pieces").push(delta);
    let req = ChatRequest::prompt("qwen3:4b", "hello");
    let reply = client
        .chat
        .chat_streaming(req, CancellationToken::new(), &sink)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("Hello"));
    assert_eq!(server.posts().len(), 2, "a cut stream is asked for again");
    let pieces = pieces.lock().expect("pieces");
    assert_eq!(pieces.last(), Some(&ChatDelta::Content("lo".to_owned())));
}

#[tokio::test]
async fn lists_residency_and_vectors() {
    let gets = [
        (
            "/api/tags",
            json!({"models":[{"name":"qwen3:4b"},{"name":"a:latest"}]}),
        ),
        (
            "/api/ps",
            json!({"models":[{"name":"a:latest","model":"a:latest"}]}),
        ),
    ];
    let replies = vec![
        Reply::json(json!({"embedding":[1.0, 2.0]})),
        Reply::json(json!({"embedding":[3.0, 4.0]})),
        Reply::json(json!({"done":true})),
        Reply::json(json!({"done":true})),
        Reply::Json(
            404,
            Vec::new(),
            json!({"error":"model \"x\" not found, try pulling it first"}),
        ),
    ];
    let (server, client) = start(&gets, replies).await;
    let cancel = CancellationToken::new();
    let models = client
        .catalogue
        .as_ref()
        .expect("list")
        .list_models(cancel.clone())
        .await
        .expect("list");
    let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(names, ["a:latest", "qwen3:4b"]);

    let req = EmbedRequest {
        model: "e".to_owned(),
        input: vec!["a".to_owned(), "b".to_owned()],
        ..EmbedRequest::default()
    };
    let embedder = client.embedder.as_ref().expect("embedder");
    let reply = embedder.embed(req, cancel.clone()).await.expect("vectors");
    assert_eq!(reply.vectors, [[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(server.posts()[1].body, json!({"model":"e","prompt":"b"}));

    let residency = client.residency.as_ref().expect("residency");
    assert!(
        residency
            .load("qwen3:4b", cancel.clone())
            .await
            .expect("loaded")
            .loaded
    );
    assert!(
        residency
            .unload("a", cancel.clone())
            .await
            .expect("unloaded")
            .is_some()
    );
    assert!(
        residency
            .unload("qwen3:4b", cancel.clone())
            .await
            .expect("absent")
            .is_none()
    );
    let posts = server.posts();
    assert_eq!(posts[3].body["keep_alive"], 0);
    assert_eq!(posts[3].body["model"], "a:latest");

    let error = chat(&client, ChatRequest::prompt("x", "q"))
        .await
        .expect_err("missing");
    assert_eq!(
        error.to_string(),
        "Model 'x' not found for provider ollama. Available models (2): a:latest, qwen3:4b"
    );
}
