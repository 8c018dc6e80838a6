//! Vectors, model lists, pictures and sounds.

use super::*;

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

/// ACE Music's cloud: the words go in as a message, the piece comes back as a data URL.
#[tokio::test]
async fn music() {
    let piece = json!({"choices":[{"message":{"role":"assistant","content":"done","audio":[
        {"type":"audio_url","audio_url":{"url":"data:audio/mpeg;base64,SUQz"}}]}}]});
    let server = Server::start(None, vec![Reply::json(piece), Reply::text("no sound")]).await;
    let client = client("acemusic", &server).await;
    let port = client.music.as_ref().expect("music");
    let options =
        json!({"duration_s": 12, "lyrics": "la", "seed": 3, "instrumental": false, "text_planner_mode": "x"});
    let request = MusicRequest {
        prompt: "a waltz".to_owned(),
        task: "text_to_music".to_owned(),
        format: "mp3".to_owned(),
        options: options.as_object().cloned().expect("object"),
        idempotency_key: Some("r/n/1".to_owned()),
        ..MusicRequest::default()
    };
    let made = port
        .music(request.clone(), CancellationToken::new())
        .await
        .expect("piece");
    assert_eq!(
        (&made.data[..], made.content_type.as_str()),
        (&b"ID3"[..], "audio/mpeg")
    );
    let post = &server.posts()[0];
    assert_eq!(
        post.body,
        json!({"messages":[{"role":"user","content":"a waltz"}],"modalities":["audio"],"stream":false,
            "audio_config":{"format":"mp3","duration":12,"instrumental":false},"lyrics":"la","seed":3})
    );
    assert_eq!(post.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(post.headers["idempotency-key"], "r/n/1");
    let error = port
        .music(request, CancellationToken::new())
        .await
        .expect_err("no sound");
    assert!(error.to_string().contains("no sound"), "{error}");
    assert_eq!(server.posts().len(), 2, "asked once each");
    let other = client_of(&providers(HttpSettings::default()), "vllm", &server.base).await;
    assert!(other.music.is_none());
}
