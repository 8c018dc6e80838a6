//! Between the processes of a cluster: what a request causes is one trace, and who posted a cancel sees to it.

#[path = "support/otlp.rs"]
mod otlp;

use std::{collections::BTreeMap, time::Duration};

use ag_e2e::{Api, Bundle, FakeUpstream, Flow, until};
use ag_testkit::{Cluster, ClusterOptions, Node};
use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

const LIMIT: Duration = Duration::from_secs(30);

/// Start, one model call, end.
fn calling() -> Bundle {
    let flow = Flow::new("main", &[])
        .step(
            "start",
            "l",
            "llm_call",
            json!({"prompt": "hello", "provider": "openai", "model": "fake-chat"}),
        )
        .step("l", "end", "on_flow_end", json!({}))
        .data("l.response", "end.response");
    Bundle::new("calls", [flow])
}

/// One API node and one runner that asks `models`; `None` where a server is not installed.
async fn cluster(models: &str, env: &[(&str, String)]) -> Result<Option<(Cluster, Api)>> {
    let mut options = ClusterOptions::new(Node::binary()?)
        .env("OPENAI_BASE_URL", models)
        .env("OPENAI_API_KEY", "sk-test");
    for (name, value) in env {
        options = options.env(name, value);
    }
    (options.api, options.runners) = (1, 1);
    options.log_filter = Some("info".to_owned());
    let Some(cluster) = Cluster::start(options).await? else {
        return Ok(None);
    };
    let url = cluster.urls().into_iter().next().context("an API node")?;
    let api = Api::new(&url, cluster.token());
    api.install(&calling()).await?;
    Ok(Some((cluster, api)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Request on one node → wake-up over the broker → claim, visit, effect, model call and commits on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_request_causes_is_one_trace() -> Result<()> {
    const CALLER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (endpoint, mut received) = otlp::receiver().await?;
    let upstream = FakeUpstream::start().await?;
    let models = format!("{}/v1", upstream.base_url());
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("ABSTRACTGATEWAY_LOG_FORMAT", "json".to_owned()),
        (
            "ABSTRACTGATEWAY_LOG_FILTER",
            "info,ag_engine=debug,ag_runner=debug,ag_api=debug".to_owned(),
        ),
    ];
    let Some((mut cluster, api)) = cluster(&models, &env).await? else {
        return Ok(());
    };
    let start = api
        .request("POST", "/api/gateway/runs/start")
        .header("traceparent", format!("00-{CALLER}-00f067aa0ba902b7-01"))
        .json(&json!({"bundle_id": "calls", "flow_id": "main", "input_data": {}}));
    let started = api.send(start).await?.ok()?;
    let run = started["run_id"].as_str().context("a run")?.to_owned();
    api.until_status(&run, &["completed"], LIMIT).await?;
    cluster.stop().await?;

    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let all = [
        "POST /api/gateway/runs/start",
        "claim",
        "tick",
        "effect",
        "chat fake-chat",
        "commit",
    ];
    let ours = |span: &Span| hex(&span.trace_id) == CALLER;
    while !all
        .iter()
        .all(|name| spans.get(*name).is_some_and(|found| found.iter().any(ours)))
    {
        let span = timeout(LIMIT, received.recv()).await;
        let span = span.with_context(|| format!("only {:?}", spans.keys()))?;
        let span = span.context("the receiver ended")?;
        spans.entry(span.name.clone()).or_default().push(span);
    }
    let of = |name: &str| spans[name].iter().find(|span| ours(span)).expect("present");
    for (child, parent) in [
        ("claim", "POST /api/gateway/runs/start"),
        ("tick", "claim"),
        ("effect", "tick"),
        ("chat fake-chat", "effect"),
    ] {
        assert_eq!(
            hex(&of(child).parent_span_id),
            hex(&of(parent).span_id),
            "{child} hangs on {parent}"
        );
    }
    let visit = &of("tick").span_id;
    let commits = spans["commit"]
        .iter()
        .filter(|span| span.parent_span_id == *visit);
    assert!(commits.count() >= 2, "the commits of the visit");
    assert_eq!(spans["tick"].len(), 1, "one visit");
    Ok(())
}

/// The only runner hangs in a call and cannot hear anything; the API node that accepted the cancel takes the run from
/// it, long before the lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poster_of_a_cancel_takes_the_run_over() -> Result<()> {
    // Takes calls and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await?;
    let Some((mut cluster, api)) = cluster(&format!("http://{}/v1", deaf.local_addr()?), &[]).await? else {
        return Ok(());
    };
    let run = api.start("calls", "main", json!({})).await?;
    let (_call, _) = timeout(LIMIT, deaf.accept()).await??;
    cluster.runners[0].signal(Signal::STOP)?;
    let posted = tokio::time::Instant::now();
    let accepted = api.command("stop-it", &run, "cancel", json!({})).await?.ok()?;
    assert_eq!(accepted["accepted"], true);
    const OWNED: &str = "SELECT count(*) FROM run_heads WHERE owner IS NOT NULL";
    assert_eq!(cluster.number(OWNED).await?, 1, "its holder has time left");
    until("the run to be taken over", LIMIT, || async {
        Ok(cluster.number(OWNED).await? == 0)
    })
    .await?;
    let taken = posted.elapsed();
    assert!(
        (Duration::from_millis(1_400)..Duration::from_secs(5)).contains(&taken),
        "taken over after {taken:?}"
    );
    // Whoever holds it next applies the cancel: the same runner, once it is awake.
    cluster.runners[0].signal(Signal::CONT)?;
    let ended: Value = api.until_status(&run, &["cancelled"], LIMIT).await?;
    assert_eq!(ended["status"], "cancelled");
    cluster.stop().await?;
    Ok(())
}
