//! Servers that fail: what is tried again, and what the caller is told.

use super::*;

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
    req.timeout = Some(Duration::from_millis(200));
    let error = chat(&client("openai-compatible", &server).await, req)
        .await
        .expect_err("late");
    assert!(
        error
            .to_string()
            .starts_with("OpenAI-compatible server timed out after 0.2 s ["),
        "{error}"
    );
    assert_eq!(server.posts().len(), 3);
}
