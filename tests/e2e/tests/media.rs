//! Media made for a run while the client waits: answers, child runs, artifacts.

use std::time::Duration;

use ag_e2e::{Bundle, FakeUpstream, Flow, Gateway, Options};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

async fn node() -> anyhow::Result<(FakeUpstream, Gateway, String)> {
    let upstream = FakeUpstream::start().await?;
    let gateway = Gateway::start(Options::default().upstream(upstream.base_url())).await?;
    let api = gateway.api();
    for (route, model) in [
        ("output/image", "fake-image"),
        ("output/voice", "fake-tts"),
        ("input/voice", "fake-stt"),
    ] {
        let base = format!("{}/v1", upstream.base_url());
        let body = json!({"provider": "openai-compatible", "model": model, "base_url": base});
        let path = format!("/api/gateway/config/capability-defaults/{route}");
        let request = api.request("PUT", &path).json(&body);
        api.send(request).await?.ok()?;
    }
    let flow = Flow::new("main", &[]).step("start", "end", "on_flow_end", json!({}));
    api.install(&Bundle::new("nothing", [flow])).await?;
    let run = api.start("nothing", "main", json!({})).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    Ok((upstream, gateway, run))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_of_a_finished_run() -> anyhow::Result<()> {
    let (_upstream, gateway, run) = node().await?;
    let api = gateway.api();
    let post =
        async |path: &str, body: Value| api.post(&format!("/api/gateway/runs/{run}/{path}"), &body).await;

    let spoken = post(
        "voice/tts",
        json!({"text": "hello", "voice": "alloy", "format": "mp3"}),
    )
    .await?
    .ok()?;
    let audio = spoken["audio_artifact"].clone();
    assert_eq!(
        (&audio["filename"], &audio["content_type"], &audio["size_bytes"]),
        (&json!("tts.mp3"), &json!("audio/mp3"), &json!(1324))
    );
    let child = spoken["child_run_id"].as_str().unwrap_or_default().to_owned();
    let ledger = api.ledger(&child).await?;
    let seen: Vec<_> = ledger
        .iter()
        .map(|record| {
            (
                record["node_id"].clone(),
                record["status"].clone(),
                record["effect"]["type"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!("call"), json!("started"), json!("llm_call")),
        (json!("call"), json!("completed"), json!("llm_call")),
        (json!("done"), json!("completed"), json!(null)),
        (json!("done"), json!("completed"), json!("emit_event")),
    ];
    assert_eq!(seen, expected);
    assert_eq!(ledger[0]["effect"]["payload"]["text"], "hello");
    assert_eq!(
        ledger[0]["effect"]["payload"]["params"]["trace_metadata"]["run_id"],
        run.as_str()
    );

    let heard = post(
        "audio/transcribe",
        json!({"audio_artifact": audio, "language": "fr"}),
    )
    .await?
    .ok()?;
    let text = heard["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("transcript of"), "{heard}");
    assert_eq!(heard["transcript_artifact"]["filename"], "transcript.txt");

    let drawn = post(
        "images/generate",
        json!({"prompt": "a square", "n": 2, "request_id": "q1"}),
    )
    .await?
    .ok()?;
    assert_eq!(
        (
            &drawn["ok"],
            &drawn["request_id"],
            &drawn["image_artifacts"][1]["filename"]
        ),
        (&json!(true), &json!("q1"), &json!("generated_2.png"))
    );
    let edit = json!({"prompt": "b", "image_artifact": drawn["image_artifact"], "strength": 0.5});
    let edited = post("images/edit", edit).await?.ok()?;
    assert_eq!(edited["image_artifact"]["filename"], "edited.png");

    let refused = post("videos/generate", json!({"prompt": "waves"})).await?;
    let detail: Value = serde_json::from_str(&refused.text)?;
    assert_eq!(
        (refused.status, &detail["detail"]),
        (
            500,
            &json!(
                "video generation child run did not complete successfully: Effect failed after 1 attempts: \
                    Backend does not support task 'text_to_video'."
            )
        )
    );

    let listed = api
        .get(&format!("/api/gateway/runs/{run}/artifacts"))
        .await?
        .ok()?;
    let sources: Vec<_> = listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["provenance"]["source"].as_str().map(str::to_owned))
        .collect();
    for source in [
        "gateway_direct_tts",
        "gateway_direct_transcription",
        "gateway_direct_image_edit",
    ] {
        assert!(
            sources.iter().any(|known| known == source),
            "{source} in {sources:?}"
        );
    }
    Ok(())
}

/// A generation whose upstream hangs ends with its run's parent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_the_call() -> anyhow::Result<()> {
    let (upstream, gateway, run) = node().await?;
    let slow = json!({"rules": [{"when": {"endpoint": "images"}, "reply": {"delay_ms": 30_000}}]});
    upstream.script(&slow).await?;
    let api = gateway.api();
    let path = format!("/api/gateway/runs/{run}/images/generate");
    let body = json!({"prompt": "x"});
    let call = api.post(&path, &body);
    let cancel = async {
        let begun = std::time::Instant::now();
        let child = loop {
            let runs = api.get("/api/gateway/runs").await?.ok()?;
            let child = runs["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|item| item["parent_run_id"] == run.as_str())
                .and_then(|item| item["run_id"].as_str().map(str::to_owned));
            match child {
                Some(child) if api.ledger(&child).await?.len() == 1 => break child,
                _ => anyhow::ensure!(begun.elapsed() < LIMIT, "no child"),
            }
            tokio::task::yield_now().await;
        };
        api.command("c1", &child, "cancel", json!({})).await?.ok()?;
        anyhow::Ok(())
    };
    let begun = std::time::Instant::now();
    let (answer, cancelled) = tokio::join!(call, cancel);
    cancelled?;
    let answer = answer?;
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(
        answer
            .text
            .contains("image generation child run did not complete"),
        "{}",
        answer.text
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "the call went on");
    Ok(())
}
