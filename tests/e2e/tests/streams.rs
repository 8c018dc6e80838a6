//! A client that resumes with its last cursor sees the ledger: no gap, no duplicate, one `done` (invariant I10).

use std::time::{Duration, Instant};

use ag_e2e::{
    Api, Bundle, Flow, Gateway, Options,
    follow::{Reader, Resume},
    report::Report,
    slow, until,
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

/// Row S6: cursors that mean nothing. None is an error of the server, and each is read as documented.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_cursors_are_answered_as_documented() -> Result<()> {
    let began = Instant::now();
    let mut report = Report::new("S6", 0, "embedded", &["I10"]);
    report.node("gateway", 1);
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    api.install(&bundle()).await?;
    let run = api.start("ticks", "main", json!({})).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    let ledger = api.ledger(&run).await?;
    let all = ledger.len();
    // Query, header, and how many records come before `done`; `None` is a refusal.
    let cases: [(&str, Option<&str>, Option<usize>); 15] = [
        ("", None, Some(all)),
        ("after=0", None, Some(all)),
        ("after=40", None, Some(all - 40)),
        ("after=42", None, Some(0)),
        ("after=1000", None, Some(0)),
        ("after=9223372036854775807", None, Some(0)),
        ("after=9223372036854775808", None, Some(0)),
        ("after=-1", None, None),
        ("after=text", None, None),
        ("after=2", Some("40"), Some(all - 40)),
        ("after=40", Some("2"), Some(all - 40)),
        ("after=40", Some("text"), Some(all - 40)),
        ("after=40", Some("-7"), Some(all - 40)),
        ("after=40", Some("9223372036854775808"), Some(all - 40)),
        ("after=40", Some("9223372036854775807"), Some(0)),
    ];
    let mut broken = 0;
    for (query, header, wanted) in cases {
        let path = format!("/api/gateway/runs/{run}/ledger/stream?{query}");
        let mut request = api.request("GET", &path);
        if let Some(id) = header {
            request = request.header("last-event-id", id);
        }
        let reply = api.send(request).await?;
        report.fault();
        broken += usize::from(reply.status >= 500);
        let steps = reply.text.matches("event: step\n").count();
        let ends = reply.text.matches("event: done\n").count();
        let as_documented = match wanted {
            Some(wanted) => reply.status == 200 && steps == wanted && ends == 1,
            None => reply.status == 422 && !reply.body["detail"].is_null(),
        };
        if !as_documented {
            let text = format!(
                "{query} {header:?}: {} with {steps} records, {ends} ends",
                reply.status
            );
            report.violation("I10", text);
        }
    }
    // A cursor beyond the tail of a run that goes on: its end comes all the same.
    let open = api.start("ticks", "main", json!({})).await?;
    let mut stream = api.stream(&open, 10_000, None).await?;
    let mut names = Vec::new();
    while let Some(event) = stream.next().await? {
        names.push(event.name);
    }
    if names != ["done"] {
        report.violation("I10", format!("beyond the tail of an open run: {names:?}"));
    }
    report.figure("cursors", cases.len() + 1);
    report.bar("answers_5xx", broken as f64, 0.0);
    report.emit(began.elapsed());
    ensure!(report.pass(), "see the report line");
    Ok(())
}

/// Row S7: one caller opens far more streams than a node has places for. The later ones are refused and told when to
/// come back; those that are open go on. With a single token there is one tenant, so no other one can be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_streams_is_refused_and_nobody_is_evicted() -> Result<()> {
    const PLACES: usize = 50;
    const ASKED: usize = 500;
    let began = Instant::now();
    let mut report = Report::new("S7", 0, "embedded", &["I10", "I13"]);
    report.node("gateway", 1);
    let gateway =
        Gateway::start(Options::default().env("ABSTRACTGATEWAY_MAX_SSE", PLACES.to_string())).await?;
    let api = gateway.api();
    let ask = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "?"}))
        .step("q", "end", "on_flow_end", json!({}));
    api.install(&Bundle::new("asks", [ask])).await?;
    let run = api.start("asks", "main", json!({})).await?;
    api.until_status(&run, &["waiting"], LIMIT).await?;
    let path = format!("/api/gateway/runs/{run}/ledger/stream");
    let mut open = Vec::new();
    let (mut refused, mut mute) = (0, 0);
    for _ in 0..ASKED {
        let response = api.request("GET", &path).send().await?;
        match response.status().as_u16() {
            200 => open.push(response),
            429 => {
                refused += 1;
                mute += usize::from(!response.headers().contains_key("retry-after"));
            }
            status => report.violation("I13", format!("a stream was answered {status}")),
        }
    }
    api.command("s7", &run, "resume", json!({"payload": {"response": "go"}}))
        .await?
        .ok()?;
    let mut evicted = 0;
    let served = open.len();
    for response in open {
        let text = tokio::time::timeout(LIMIT, response.text()).await??;
        evicted += usize::from(!text.contains("event: done\n"));
    }
    report.figure("asked", ASKED);
    report.figure("served", served);
    report.figure("refused", refused);
    report.bar("served_beyond_the_cap", served as f64 - PLACES as f64, 0.0);
    report.bar("refused_below_the_cap", PLACES as f64 - served as f64, 0.0);
    report.bar("refused_without_retry_after", mute as f64, 0.0);
    report.bar("evicted", evicted as f64, 0.0);
    report.emit(began.elapsed());
    ensure!(report.pass(), "see the report line");
    Ok(())
}

/// Row S3: clients that read a byte a second of a long stream, among others. The default is to cut them after 30 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_cut_and_cost_nobody_anything() -> Result<()> {
    let plan = slow::Plan {
        slow: 40,
        normal: 40,
        stall: Duration::from_secs(2),
    };
    ensure!(slow::slow_readers(plan).await?.pass(), "see the report line");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute; run by name"]
async fn slow_readers_long() -> Result<()> {
    let plan = slow::Plan {
        slow: 200,
        normal: 2_000,
        stall: Duration::from_secs(30),
    };
    ensure!(slow::slow_readers(plan).await?.pass(), "see the report line");
    Ok(())
}
