//! A client that resumes with its last cursor sees the ledger: no gap, no duplicate, one `done` (invariant I10).

use std::time::Duration;

use ag_e2e::{
    Api, Bundle, Flow, Gateway, Options,
    follow::{Reader, Resume},
    until,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(30);

/// Ten messages with short waits between them.
fn bundle() -> Bundle {
    let mut flow = Flow::new("main", &[]);
    let mut last = "start".to_owned();
    for n in 0..10 {
        let (say, wait) = (format!("a{n}"), format!("w{n}"));
        flow = flow
            .step(
                &last,
                &say,
                "answer_user",
                json!({"message": format!("message {n}")}),
            )
            .step(&say, &wait, "wait_until", json!({"duration": 0.05}));
        last = wait;
    }
    Bundle::new("ticks", [flow.step(&last, "end", "on_flow_end", json!({}))])
}

/// Reads a run to its `done`, leaving after every `burst` records.
async fn follow(api: &Api, run: &str, burst: usize, resume: Resume) -> Result<Vec<Value>> {
    let reader = Reader {
        resume,
        burst,
        patient: false,
        limit: LIMIT,
    };
    Ok(reader.follow(std::slice::from_ref(api), run).await?.records)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_equal_the_ledger() -> Result<()> {
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    api.install(&bundle()).await?;
    let run = api.start("ticks", "main", json!({})).await?;
    let mut readers = JoinSet::new();
    for (burst, resume) in [
        (usize::MAX, Resume::After),
        (1, Resume::After),
        (3, Resume::LastEventId),
        (7, Resume::Both),
        (2, Resume::LastEventId),
    ] {
        let (api, run) = (api.clone(), run.clone());
        readers.spawn(async move {
            let seen = follow(&api, &run, burst, resume).await;
            seen.with_context(|| format!("reader of {burst} by {resume:?}"))
        });
    }
    let mut all = Vec::new();
    while let Some(reader) = readers.join_next().await {
        all.push(reader??);
    }
    let ledger = api.ledger(&run).await?;
    assert_eq!(ledger.len(), 10 * 4 + 2, "{ledger:#?}");
    for records in all {
        assert_eq!(records, ledger);
    }
    // A stream of a finished run replays and ends by itself.
    assert_eq!(follow(&api, &run, usize::MAX, Resume::After).await?, ledger);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_after_a_crash() -> Result<()> {
    let mut gateway = Gateway::start(Options::default()).await?;
    gateway.api().install(&bundle()).await?;
    let run = gateway.api().start("ticks", "main", json!({})).await?;

    let mut records = Vec::new();
    let mut stream = gateway.api().stream(&run, 0, None).await?;
    while records.len() < 9 {
        let event = stream.next().await?.context("the stream ended early")?;
        let data: Value = serde_json::from_str(&event.data)?;
        records.push(data["record"].clone());
    }
    gateway.kill9().await?;
    // The broken stream may still hold records that were sent before the kill; then it ends.
    while let Ok(Some(event)) = stream.next().await {
        let data: Value = serde_json::from_str(&event.data)?;
        records.push(data["record"].clone());
    }
    gateway.restart().await?;
    let api = gateway.api();
    let mut stream = api.stream(&run, records.len(), None).await?;
    while let Some(event) = stream.next().await? {
        if event.name == "step" {
            let data: Value = serde_json::from_str(&event.data)?;
            ensure!(data["cursor"] == records.len() + 1, "a gap: {data}");
            records.push(data["record"].clone());
        }
    }
    assert_eq!(records, api.ledger(&run).await?);
    Ok(())
}

/// A reader that goes away must not be kept: its place is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_cap_are_refused_until_one_ends() -> Result<()> {
    let gateway = Gateway::start(Options::default().env("ABSTRACTGATEWAY_MAX_SSE", "2")).await?;
    let api = gateway.api();
    let ask = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "?"}))
        .step("q", "end", "on_flow_end", json!({}));
    api.install(&Bundle::new("asks", [ask])).await?;
    let run = api.start("asks", "main", json!({})).await?;
    let path = format!("/api/gateway/runs/{run}/ledger/stream");
    let first = api.stream(&run, 0, None).await?;
    let second = api.stream(&run, 0, None).await?;
    let refused = api.request("GET", &path).send().await?;
    assert_eq!(refused.status(), 429);
    drop(first);
    until("a free place", LIMIT, || async {
        Ok(api.request("GET", &path).send().await?.status() == 200)
    })
    .await?;
    drop(second);
    Ok(())
}
