//! Where sources come from and which server is asked.

use ag_kernel::Outcome;
use ag_outbound::{Allowlist, ClientOptions, OutboundPolicy, outbound_client};
use ag_providers::fake::{FakeMedia, MediaAsked};
use ag_types::EffectKind;
use serde_json::{Value, json};

use super::{set, world_of};
use crate::llm_call::{LlmCall, LlmCallSettings, MediaBackends};
use crate::test_kit::{World, request};
use crate::{Answer, EffectHandler as _};

async fn answer_with(world: &World, settings: LlmCallSettings, payload: Value) -> Answer {
    let handler = LlmCall::new(world.resolver(), settings);
    let request = request(EffectKind::LlmCall, payload);
    handler.handle(&world.ctx(), &request).await
}

/// Serves one small picture per connection.
async fn picture_server() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/png; x=y\r\ncontent-length: 3\r\n\r\npng";
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/in/square.png?sig=secret")
}

/// A source that is only linked is fetched, where the rules for addresses let it.
#[tokio::test]
async fn linked_sources_are_fetched() {
    let url = picture_server().await;
    let client = |policy| Some(outbound_client(policy, &ClientOptions::default()).expect("client"));
    let edit = json!({"prompt": "b", "output": {"task": "image_edit"}, "media": [{"url": url}]});
    let (world, media) = world_of(FakeMedia::default());
    let settings = LlmCallSettings {
        http: client(OutboundPolicy::operator()),
        ..LlmCallSettings::default()
    };
    let answer = answer_with(&world, settings.clone(), edit.clone()).await;
    assert!(
        matches!(answer.outcome, Outcome::Done { .. }),
        "{:?}",
        answer.outcome
    );
    let MediaAsked::Image(asked) = &media.asked()[0] else {
        panic!("{:?}", media.asked())
    };
    let source = &asked.images[0];
    assert_eq!(
        (
            source.filename.as_str(),
            source.content_type.as_str(),
            &source.data[..]
        ),
        ("square.png", "image/png", &b"png"[..])
    );
    // Users of a shared gateway do not reach what only its host reaches; no text repeats the address.
    let users = LlmCallSettings {
        http: client(OutboundPolicy::user(Allowlist::default())),
        ..settings.clone()
    };
    let small = LlmCallSettings {
        max_attachment_bytes: 2,
        ..settings
    };
    for settings in [users, small] {
        let answer = answer_with(&world, settings, edit.clone()).await;
        let Outcome::Failed(error) = answer.outcome else {
            panic!("{:?}", answer.outcome)
        };
        assert!(error.starts_with("A linked source cannot be read: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(media.asked().len(), 1);
}

/// Servers that the environment names are the last resort, before the usual one.
#[tokio::test]
async fn the_environment_names_back_ends() {
    let vars = [
        ("ABSTRACTVISION_BASE_URL", "http://vision/v1"),
        ("ABSTRACTVISION_API_KEY", "vk"),
        ("ABSTRACTVISION_MODEL_ID", "vm"),
        ("ABSTRACTVOICE_TTS_ENGINE", "piper"),
        ("ABSTRACTVOICE_TTS_VOICE", "v"),
    ];
    let settings = || LlmCallSettings {
        backends: MediaBackends::from_lookup(|name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }),
        ..LlmCallSettings::default()
    };
    let (world, media) = world_of(FakeMedia::default());
    let picture = json!({"prompt": "p", "output": {"modality": "image"}});
    answer_with(&world, settings(), picture.clone()).await;
    let queries = world.directory.queries.lock().clone();
    let seen = queries.last().expect("asked");
    assert_eq!(
        (
            seen.provider.as_str(),
            seen.base_url.as_deref(),
            seen.api_key.as_deref()
        ),
        ("openai-compatible", Some("http://vision/v1"), Some("vk"))
    );
    let MediaAsked::Image(asked) = &media.asked()[0] else {
        panic!("{:?}", media.asked())
    };
    assert_eq!(asked.model, "vm");
    let speech = json!({"prompt": "p", "output": {"modality": "voice"}});
    let Outcome::Failed(error) = answer_with(&world, settings(), speech).await.outcome else {
        panic!("an engine in process")
    };
    assert!(
        error.starts_with("Engine 'piper' runs models inside the process"),
        "{error}"
    );
    // A default wins.
    set(&world, "output.image", json!({"provider": "vllm", "model": "d"})).await;
    answer_with(&world, settings(), picture).await;
    let queries = world.directory.queries.lock().clone();
    assert_eq!(queries.last().expect("asked").provider, "vllm");
}
