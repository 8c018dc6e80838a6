//! What operators see: probes, metrics and traces of the built binary, and how it leaves.

#[path = "support/otlp.rs"]
mod otlp;

use std::{collections::BTreeMap, time::Duration};

use ag_e2e::{Bundle, FakeUpstream, Flow, Gateway, Options};
use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::{common::v1::any_value::Value as Any, trace::v1::Span};
use otlp::receiver;
use serde_json::json;
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

/// A port that was free a moment ago, below those of outgoing connections.
async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

async fn probe(port: u16, path: &str) -> Result<(u16, String)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn attribute(span: &Span, name: &str) -> Option<Any> {
    let found = span.attributes.iter().find(|pair| pair.key == name)?;
    found.value.clone()?.value
}

/// Request → run → tick → effect → model call → commit, tied together, with nothing of what was said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_be_followed_through_its_traces() -> Result<()> {
    let (endpoint, mut received) = receiver().await?;
    let upstream = FakeUpstream::start().await?;
    let port = free_port().await?;
    let options = Options::default()
        .upstream(upstream.base_url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("ABSTRACTGATEWAY_METRICS_PORT", port.to_string());
    let mut gateway = Gateway::start(options).await?;
    let api = gateway.api();
    api.install(&calling()).await?;
    let caller = "4bf92f3577b34da6a3ce929d0e0e4736";
    let start = api
        .request("POST", "/api/gateway/runs/start")
        .header("traceparent", format!("00-{caller}-00f067aa0ba902b7-01"))
        .json(&json!({"bundle_id": "calls", "flow_id": "main", "input_data": {}}));
    let started = api.send(start).await?.ok()?;
    let run = started["run_id"].as_str().context("a run")?.to_owned();
    api.until_status(&run, &["completed"], LIMIT).await?;
    assert_eq!(
        probe(port, "/health/ready").await?,
        (200, r#"{"status":"ready"}"#.to_owned())
    );
    let (_, metrics) = probe(port, "/metrics").await?;
    for line in [
        "gateway_runs_started_total 1",
        "gateway_runs_ended_total{status=\"completed\"} 1",
        "gateway_effects_total{kind=\"llm_call\",outcome=\"done\"} 1",
        "gateway_model_calls_total{family=\"openai\",outcome=\"done\"} 1",
        "gateway_stale_writes_refused_total 0",
        "gateway_feed_gaps_filled_total 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line} in\n{metrics}"
        );
    }
    assert!(gateway.terminate().await?.success());

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans: BTreeMap<String, Span> = BTreeMap::new();
    let all = |spans: &BTreeMap<String, Span>| {
        ["POST /api/gateway/runs/start", "tick", "effect", "chat fake-chat"]
            .iter()
            .all(|name| spans.contains_key(*name))
    };
    while !all(&spans) {
        let span = timeout(LIMIT, received.recv())
            .await?
            .context("the receiver ended")?;
        assert!(
            !format!("{span:?}").contains("hello"),
            "a prompt left the process: {span:?}"
        );
        spans.insert(span.name.clone(), span);
    }
    let (request, tick) = (&spans["POST /api/gateway/runs/start"], &spans["tick"]);
    let (effect, chat) = (&spans["effect"], &spans["chat fake-chat"]);
    assert_eq!(hex(&request.trace_id), caller);
    assert_eq!(
        (&tick.trace_id, &tick.parent_span_id),
        (&request.trace_id, &request.span_id),
        "the visit that the request waits for is a part of it"
    );
    assert_eq!(
        (&effect.trace_id, &effect.parent_span_id),
        (&tick.trace_id, &tick.span_id)
    );
    assert_eq!(
        (&chat.trace_id, &chat.parent_span_id),
        (&tick.trace_id, &effect.span_id)
    );
    assert_eq!(attribute(tick, "run.id"), Some(Any::StringValue(run)));
    assert_eq!(
        attribute(chat, "gen_ai.operation.name"),
        Some(Any::StringValue("chat".to_owned()))
    );
    assert!(matches!(attribute(chat, "gen_ai.usage.input_tokens"), Some(Any::IntValue(n)) if n > 0));
    Ok(())
}

/// The first signal drains and says so, the second one ends the process whatever it is doing; nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_signal_does_not_wait() -> Result<()> {
    // Takes calls and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await?;
    let port = free_port().await?;
    let options = Options::default()
        .upstream(&format!("http://{}", deaf.local_addr()?))
        .env("ABSTRACTGATEWAY_METRICS_PORT", port.to_string())
        .env("ABSTRACTGATEWAY_RUNNER_DRAIN_S", "300");
    let mut gateway = Gateway::start(options).await?;
    let api = gateway.api();
    api.install(&calling()).await?;
    let run = api.start("calls", "main", json!({})).await?;
    let (_call, _) = timeout(LIMIT, deaf.accept()).await??;

    gateway.ask_to_end()?;
    let draining = async {
        while probe(port, "/health/ready").await? != (503, r#"{"status":"draining"}"#.to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, draining).await??;
    assert_eq!(probe(port, "/health/live").await?.0, 200);
    gateway.ask_to_end()?;
    let status = gateway.ended(Duration::from_secs(10)).await?;
    assert!(!status.success(), "not an orderly end: {status}");

    gateway.restart().await?;
    // The next process makes the same call again, as another attempt of the same step.
    let (_again, _) = timeout(LIMIT, deaf.accept()).await??;
    let ledger = gateway.api().ledger(&run).await?;
    let seen: Vec<_> = ledger
        .iter()
        .map(|record| (record["status"].as_str(), record["attempt"].as_i64()))
        .collect();
    assert_eq!(seen, [(Some("started"), Some(1)), (Some("started"), Some(2))]);
    Ok(())
}
