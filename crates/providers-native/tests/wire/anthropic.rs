use std::collections::HashMap;
use std::sync::Mutex;

use ag_providers::structured::{generate, normalise};
use ag_providers::{ChatDelta, ChatRequest, ProviderError, Support};
use ag_providers_http::testkit::{Reply, Server};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{KEY, chat, client, with_tools};

const MODEL: &str = "claude-sonnet-4-5";

fn message(content: Value, stop: &str) -> Reply {
    Reply::json(
        json!({"id":"msg_1","type":"message","role":"assistant","model":MODEL,"content":content,
        "stop_reason":stop,"usage":{"input_tokens":5,"output_tokens":3}}),
    )
}

async fn start(replies: Vec<Reply>) -> (Server, ag_providers::ProviderClient) {
    let server = Server::with_gets(HashMap::new(), replies).await;
    let vars = [
        ("ANTHROPIC_BASE_URL", server.base.as_str()),
        ("ANTHROPIC_API_KEY", KEY),
    ];
    let client = client(&vars, "anthropic").await;
    (server, client)
}

#[tokio::test]
async fn a_call_with_tools() {
    let content = json!([{"type":"text","text":"let me"},{"type":"tool_use","id":"tu_1",
        "name":"mcp__files__read","input":{"path":"b"}}]);
    let (server, client) = start(vec![message(content, "tool_use")]).await;
    let mut req = with_tools(MODEL);
    req.idempotency_key = Some("r/n/1".to_owned());
    let reply = chat(&client, req).await.expect("reply");
    assert_eq!(reply.content.as_deref(), Some("let me"));
    assert_eq!(reply.tool_calls[0].name, "mcp::files::read");
    assert_eq!(reply.usage.expect("usage").total_tokens, 8);
    let sent = &server.posts()[0];
    assert_eq!(
        sent.path, "/v1/messages",
        "a base with the version counts as one without"
    );
    assert_eq!(sent.headers["x-api-key"], KEY);
    assert_eq!(sent.headers["anthropic-version"], "2023-06-01");
    assert_eq!(sent.headers["idempotency-key"], "r/n/1");
    assert!(!sent.headers.contains_key("authorization"));
    assert_eq!(sent.body["tools"][0]["name"], "mcp__files__read");
    assert_eq!(
        sent.body["messages"][1]["content"][0],
        json!({"type":"tool_use","id":"c1","name":"mcp__files__read","input":{"path":"a"}})
    );
    assert_eq!(
        sent.body["messages"][2]["content"],
        json!([{"type":"tool_result","tool_use_id":"c1","content":"[read]: A"}])
    );
    assert!(!format!("{reply:?}").contains(KEY));
}

#[tokio::test]
async fn structured_answers_come_through_a_tool() {
    let schema = normalise(&json!({"a": 1}), Some("Ans")).expect("schema");
    let content = json!([{"type":"tool_use","id":"t","name":"extract_ans","input":{"a":7}}]);
    let (server, client) = start(vec![message(content, "tool_use")]).await;
    let req = ChatRequest::prompt(MODEL, "hello");
    let cancel = CancellationToken::new();
    let found = generate(client.chat.as_ref(), &req, &schema, Support::Native, &cancel).await;
    assert_eq!(found.expect("fits").data, json!({"a":7}));
    assert_eq!(
        server.posts()[0].body["tool_choice"],
        json!({"type":"tool","name":"extract_ans"})
    );
}

#[tokio::test]
async fn streamed() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":4}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let stream = |text: &str| Reply::Raw("text/event-stream", text.as_bytes().to_vec());
    let (server, client) = start(vec![stream(overloaded), stream(events)]).await;
    let pieces = Mutex::new(Vec::new());
    let sink = |delta| pieces.lock().expect("pieces").push(delta);
    let req = ChatRequest::prompt(MODEL, "hello");
    let reply = client
        .chat
        .chat_streaming(req, CancellationToken::new(), &sink)
        .await
        .expect("reply");
    assert_eq!(reply.content.as_deref(), Some("Hello"));
    assert_eq!(reply.usage.expect("usage").total_tokens, 6);
    assert!(reply.ttft_ms.is_some());
    assert_eq!(
        *pieces.lock().expect("pieces"),
        [
            ChatDelta::Content("Hel".to_owned()),
            ChatDelta::Content("lo".to_owned())
        ]
    );
    assert_eq!(server.posts().len(), 2, "an overloaded server is asked again");
}

#[tokio::test]
async fn failures_and_the_list() {
    let not_found = Reply::Json(
        404,
        Vec::new(),
        json!({"type":"error","error":{"type":"not_found_error","message":"model: x"}}),
    );
    let refused = Reply::Json(
        401,
        Vec::new(),
        json!({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-very-secret"}}),
    );
    let gets = HashMap::from([(
        "/v1/models".to_owned(),
        json!({"data":[{"id":"claude-b"},{"id":"claude-a"}],"has_more":false,"last_id":"claude-a"}),
    )]);
    let server = Server::with_gets(gets, vec![not_found, refused]).await;
    let vars = [
        ("ANTHROPIC_BASE_URL", server.root.as_str()),
        ("ANTHROPIC_API_KEY", KEY),
    ];
    let client = client(&vars, "anthropic").await;
    let error = chat(&client, ChatRequest::prompt("x", "q"))
        .await
        .expect_err("missing");
    assert_eq!(
        error.to_string(),
        "Model 'x' not found for provider anthropic. Available models (2): claude-a, claude-b"
    );
    let error = chat(&client, ChatRequest::prompt("x", "q"))
        .await
        .expect_err("refused");
    assert!(matches!(error, ProviderError::Authentication(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains(KEY));
    let models = client.catalogue.as_ref().expect("list");
    let models = models.list_models(CancellationToken::new()).await.expect("list");
    assert_eq!(models[0].id, "claude-a");
    let asked = server
        .seen()
        .into_iter()
        .rfind(|seen| seen.method == "GET")
        .expect("asked");
    assert_eq!(
        (asked.headers["x-api-key"].as_str(), asked.path.as_str()),
        (KEY, "/v1/models")
    );
}
