use std::collections::HashMap;

use ag_providers::media::EmbedRequest;
use ag_providers::{ChatRequest, EndpointOrigin, Object, ProviderDirectory, ProviderQuery};
use ag_providers_http::testkit::{Reply, Server};
use secrecy::SecretString;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{KEY, chat, client, directory, with_tools};

#[tokio::test]
async fn all_calls_go_to_the_one_server() {
    let gets = HashMap::from([(
        "/v1/models".to_owned(),
        json!({"data":[{"id":"anthropic/claude-b"},{"id":"anthropic/claude-a"}]}),
    )]);
    let vectors = Reply::json(json!({"data":[{"index":0,"embedding":[1.0]}]}));
    let server = Server::with_gets(gets, vec![Reply::text("hi"), vectors]).await;
    let vars = [
        ("ABSTRACTCORE_SERVER_BASE_URL", server.base.as_str()),
        ("ABSTRACTCORE_AUTH_TOKEN", "server-token"),
        ("ABSTRACTCORE_SERVER_API_KEY", "later"),
        ("ANTHROPIC_API_KEY", KEY),
    ];
    let client = client(&vars, "anthropic").await;
    let mut req = with_tools("claude-a");
    req.params.temperature = Some(0.2);
    req.trace = Object::from_iter([
        ("run_id".to_owned(), json!("r1")),
        ("session_id".to_owned(), json!("s1")),
    ]);
    let reply = chat(&client, req).await.expect("reply");
    assert_eq!(reply.content.as_deref(), Some("hi"));
    let sent = &server.posts()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.headers["authorization"], "Bearer server-token");
    assert_eq!(sent.headers["x-abstractcore-run-id"], "r1");
    assert_eq!(sent.headers["x-abstractcore-session-id"], "s1");
    assert!(sent.headers.contains_key("x-abstractcore-trace-metadata"));
    assert!(
        !sent.headers.contains_key("x-abstractcore-provider-api-key"),
        "the server has keys of its own"
    );
    let keys: Vec<&str> = sent
        .body
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        ["model", "messages", "stream", "timeout_s", "temperature", "tools"]
    );
    assert_eq!(sent.body["model"], "anthropic/claude-a");
    assert_eq!(sent.body["timeout_s"], 7200.0);
    assert_eq!(
        sent.body["tools"][0]["name"], "mcp::files::read",
        "the server knows our names"
    );
    assert_eq!(
        sent.body["tools"][0]["parameters"]["line"],
        json!({"type":"integer","default":null})
    );

    let catalogue = client.catalogue.as_ref().expect("list");
    let models = catalogue
        .list_models(CancellationToken::new())
        .await
        .expect("list");
    assert_eq!(models[0].id, "claude-a");
    let asked = server
        .seen()
        .into_iter()
        .rfind(|seen| seen.method == "GET")
        .expect("asked");
    assert_eq!(asked.path, "/v1/models?provider=anthropic");

    let req = EmbedRequest {
        model: "e".to_owned(),
        input: vec!["a".to_owned()],
        ..EmbedRequest::default()
    };
    let embedder = client.embedder.as_ref().expect("embedder");
    let reply = embedder
        .embed(req, CancellationToken::new())
        .await
        .expect("vectors");
    assert_eq!((reply.model.as_str(), reply.vectors.len()), ("e", 1));
    assert_eq!(
        server.posts()[1].body,
        json!({"input":["a"],"model":"anthropic/e","encoding_format":"float"})
    );
}

#[tokio::test]
async fn what_the_caller_names_is_passed_on_under_the_callers_rules() {
    let server = Server::start(None, vec![Reply::text("hi")]).await;
    let vars = [("ABSTRACTCORE_SERVER_BASE_URL", server.root.as_str())];
    let directory = directory(&vars);
    let query = |origin, url| ProviderQuery {
        base_url: Some(url),
        api_key: Some(SecretString::from(KEY)),
        origin,
        ..ProviderQuery::new("plane", "openai-compatible")
    };
    let client = directory
        .resolve(query(EndpointOrigin::Operator, "http://127.0.0.1:9/v1/"))
        .await
        .expect("endpoint");
    chat(&client, ChatRequest::prompt("m", "q")).await.expect("reply");
    let sent = &server.posts()[0];
    assert_eq!(sent.body["base_url"], "http://127.0.0.1:9/v1");
    assert_eq!(sent.headers["x-abstractcore-provider-api-key"], KEY);
    assert!(!sent.headers.contains_key("authorization"));
    let refused = directory
        .resolve(query(EndpointOrigin::User, "http://127.0.0.1:9/v1"))
        .await;
    assert!(
        refused
            .expect_err("refused")
            .to_string()
            .starts_with("Provider base URL refused")
    );
    // Families that only the server can run.
    assert!(
        directory
            .resolve(ProviderQuery::new("plane", "mlx"))
            .await
            .is_ok()
    );
    assert!(
        directory
            .resolve(ProviderQuery::new("plane", "nope"))
            .await
            .is_err()
    );
}
