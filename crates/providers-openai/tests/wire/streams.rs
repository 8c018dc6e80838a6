//! Streamed answers.

use super::*;

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
