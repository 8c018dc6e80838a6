//! Conversations: what is sent, and how answers are read.

use super::*;

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
