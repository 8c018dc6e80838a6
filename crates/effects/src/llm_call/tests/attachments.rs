//! Files of a call.

use std::sync::Arc;

use ag_providers::Transcriber;
use ag_providers::media::{TranscribeRequest, Transcript};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::test_kit::TestDirectory;

/// Writes down what it was asked for.
struct Scribe;

#[async_trait]
impl Transcriber for Scribe {
    async fn transcribe(
        &self,
        req: TranscribeRequest,
        _: CancellationToken,
    ) -> Result<Transcript, ProviderError> {
        let (model, language) = (req.model, req.language.unwrap_or_default());
        Ok(Transcript {
            text: format!("{model} {language} {} {}", req.file.filename, req.file.data.len()),
        })
    }
}

#[tokio::test]
async fn recordings_are_sent_or_written_down() {
    let world = World::with(TestDirectory {
        transcriber: Some(Arc::new(Scribe)),
        ..TestDirectory::default()
    });
    let world = world.var("_runtime.stt_language", json!("fr"));
    let id = world
        .artifact("audio/x-wav", &[("filename", "v.wav")], b"RIFF", "other")
        .await;
    let payload = |policy: Value, model: &str| json!({"prompt": "p", "provider": "vllm", "model": model, "media": {"$artifact": id}, "params": {"audio_policy": policy}});
    let error = failed(&world, payload(Value::Null, "gpt-4o-mini")).await;
    assert_eq!(
        error,
        "Attachment 'v.wav' (audio/x-wav) cannot be given to this model"
    );
    let error = failed(&world, payload(json!("auto"), "gpt-4o-mini")).await;
    assert!(
        error.ends_with("no route is configured for input.voice"),
        "{error}"
    );
    let body = json!({"provider": "openai-compatible", "model": "stt", "options": {"language": "de"}});
    world
        .routes()
        .set(&world.scope, "input.voice", &body)
        .await
        .expect("set");
    done(&world, payload(json!("speech_to_text"), "gpt-4o-mini")).await;
    done(&world, payload(Value::Null, "nobody-knows")).await;
    let sent = asked(&world);
    assert!(texts(&sent[0])[1].ends_with("--- Content from v.wav ---\nstt fr v.wav 4\n--- End of v.wav ---"));
    let MessageContent::Parts(parts) = &sent[1].messages[1].content else {
        panic!("parts")
    };
    assert!(
        matches!(&parts[1], ContentPart::Audio { format, .. } if format == "wav"),
        "{parts:?}"
    );
}

#[tokio::test]
async fn artifacts_are_inlined_or_sent_as_parts() {
    let world = World::new(vec![]);
    let text = world
        .artifact("text/csv", &[("filename", "a.csv")], b"x,y", "other")
        .await;
    let image = world.artifact("image/png", &[], b"\x89PNG", "other").await;
    let media =
        json!([{"$artifact": text}, {"artifact_id": image, "filename": "p.png"}, {"$artifact": text}]);
    let result = done(&world, json!({"prompt": "look", "media": media})).await;
    let sent = &asked(&world)[0];
    let MessageContent::Parts(parts) = &sent.messages[1].content else {
        panic!("parts")
    };
    assert_eq!(
        parts[0],
        ContentPart::Text("look\n\n--- Content from a.csv ---\nx,y\n--- End of a.csv ---".to_owned())
    );
    let picture = MediaSource::Inline {
        content_type: "image/png".to_owned(),
        data: b"\x89PNG".as_slice().into(),
    };
    assert_eq!(parts[1..], [ContentPart::Image(picture)]);
    assert!(
        texts(sent)[0].starts_with("Active attachments"),
        "{}",
        texts(sent)[0]
    );
    let kwargs = &result["metadata"]["_runtime_observability"]["llm_generate_kwargs"];
    assert_eq!(
        kwargs["media"],
        json!([{"$artifact": text, "artifact_id": text}, {"$artifact": image, "artifact_id": image, "filename": "p.png"}])
    );
    assert_eq!(
        kwargs["messages"][1]["content"][1],
        json!({"type": "image", "content_type": "image/png", "size_bytes": 4})
    );
}

#[tokio::test]
async fn attachments_that_cannot_be_sent() {
    let world = World::new(vec![]);
    let zip = world
        .artifact("application/zip", &[("filename", "a.zip")], b"PK", "other")
        .await;
    let media = |media: Value| json!({"prompt": "p", "media": media});
    assert_eq!(
        failed(&world, media(json!({"$artifact": "nope"}))).await,
        "Artifact 'nope' not found"
    );
    let error = failed(&world, media(json!([{"artifact_id": zip}]))).await;
    assert_eq!(
        error,
        "Attachment 'a.zip' (application/zip) cannot be given to this model"
    );
    let error = failed(&world, media(json!("/etc/passwd"))).await;
    assert_eq!(
        error,
        "Media file '/etc/passwd' cannot be read: the run has no workspace"
    );
    let small = World::new(vec![]).var("_runtime.max_attachment_bytes", json!(3));
    let id = small
        .artifact("image/png", &[("filename", "b.png")], b"abcd", "other")
        .await;
    assert_eq!(
        failed(&small, media(json!({"$artifact": id}))).await,
        "Attachment 'b.png' is larger than 3 bytes"
    );
}

#[tokio::test]
async fn files_of_the_workspace_may_be_attached() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("n.md"), "# T").expect("write");
    let world = World::new(vec![]).var("workspace_root", json!(folder.path().to_string_lossy()));
    done(&world, json!({"prompt": "p", "media": ["n.md"]})).await;
    assert!(texts(&asked(&world)[0])[1].ends_with("\n\n--- Content from n.md ---\n# T\n--- End of n.md ---"));
    let error = failed(
        &world,
        json!({"prompt": "p", "media": [{"file_path": "../n.md"}]}),
    )
    .await;
    assert_eq!(error, "Path escapes workspace_root: '../n.md'");
    assert_eq!(
        failed(&world, json!({"prompt": "p", "media": "no.md"})).await,
        "Media file 'no.md' not found"
    );
}

#[tokio::test]
async fn long_texts_are_cut_and_links_are_passed_on() {
    let world = World::new(vec![]);
    let id = world
        .artifact("text/plain", &[("filename", "t.txt")], "aé".as_bytes(), "other")
        .await;
    let payload = json!({"prompt": "p", "params": {"max_inline_attachment_bytes": 2},
        "media": [{"$artifact": id}, {"type": "image", "url": "https://h/p.png?sig=1"}, "data:image/gif;base64,QUI="]});
    let result = done(&world, payload).await;
    assert_eq!(
        result["metadata"]["warnings"],
        json!(["Attachment 't.txt' was cut to 2 of 3 bytes"])
    );
    let sent = &asked(&world)[0];
    let MessageContent::Parts(parts) = &sent.messages[1].content else {
        panic!("parts")
    };
    assert!(
        matches!(&parts[0], ContentPart::Text(text) if text.contains("---\na\n[... 2 of 3 bytes shown ...]")),
        "{parts:?}"
    );
    assert_eq!(
        parts[1],
        ContentPart::Image(MediaSource::Url("https://h/p.png?sig=1".to_owned()))
    );
    assert!(matches!(&parts[2], ContentPart::Image(MediaSource::Inline { data, .. }) if &data[..] == b"AB"));
    assert!(
        !result["metadata"]["_runtime_observability"]
            .to_string()
            .contains("sig=1"),
        "links may be secrets"
    );
}

#[tokio::test]
async fn queued_media_are_sent_once_and_cleared() {
    let world = World::new(vec![]);
    let id = world.artifact("image/png", &[], b"png", "other").await;
    let world = world.var(
        "_runtime.pending_media",
        json!([{"$artifact": id}, {"$artifact": id}]),
    );
    let answer = answer(&world, json!({"prompt": "p", "media": [{"artifact_id": id}]})).await;
    assert_eq!(
        answer.changes,
        [VarChange::Remove("_runtime.pending_media".to_owned())]
    );
    let MessageContent::Parts(parts) = &asked(&world)[0].messages[1].content else {
        panic!("parts")
    };
    assert_eq!(parts.len(), 2);
}

#[tokio::test]
async fn the_session_index_lists_attachments_once() {
    let world = World::new(vec![]);
    for (path, data) in [("docs/a.txt", "old"), ("docs/a.txt", "new"), ("b.pdf", "b")] {
        world
            .artifact(
                "text/plain",
                &[("kind", "attachment"), ("path", path), ("sha256", "0123456789")],
                data.as_bytes(),
                "session_memory_s1",
            )
            .await;
    }
    world
        .artifact("text/plain", &[("path", "note")], b"n", "session_memory_s1")
        .await;
    let stale = "Stored session attachments:\n- @gone";
    let messages = json!([{"role": "system", "content": stale}, {"role": "user", "content": "q"}]);
    done(&world, json!({"messages": messages, "system_prompt": "S", "params": {"include_session_attachments_index": true}})).await;
    let system = &texts(&asked(&world)[0])[0];
    assert!(
        system.starts_with("S\n\nSession attachments (open one with open_attachment"),
        "{system}"
    );
    assert_eq!(system.matches("- @").count(), 2, "{system}");
    assert!(
        system.contains("- @docs/a.txt (id=") && system.contains("sha=01234567, text/plain, 3 bytes)"),
        "{system}"
    );
    assert!(!system.contains("gone") && !system.contains("note"));
}

#[tokio::test]
async fn repeated_files_are_shown_once() {
    let world = World::new(vec![]);
    let shown = "[read_file]: File: /w/a.txt (1 lines)\n\n1: x";
    let call = |id: &str| json!({"role": "assistant", "content": "", "tool_calls": [{"id": id, "name": "read_file", "arguments": {}}]});
    let result = |id: &str| json!({"role": "tool", "content": shown, "tool_call_id": id});
    done(&world, json!({"messages": [{"role": "user", "content": "q"}, call("1"), result("1"), call("2"), result("2")]})).await;
    let sent = &asked(&world)[0];
    let results: Vec<_> = sent
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| message.content.text())
        .collect();
    assert_eq!(results[0], shown);
    assert!(
        results[1].starts_with("[read_file]: (duplicate) File already shown above: /w/a.txt lines 1-1."),
        "{}",
        results[1]
    );
}
