//! Sick model servers as a whole gateway sees them (fault matrix, row O2): how many runs hang on one, what a cancel does
//! to the call in each of its phases, what a failing server is asked, and what a flood costs in memory. The wires alone
//! are tested beside them.

use std::time::{Duration, Instant};

use ag_e2e::{Bundle, Flow, Gateway, Options, report::Report, until};
use ag_providers_http::testkit::{Reply, Server};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const SLOTS: usize = 6;

async fn node(replies: Vec<Reply>) -> anyhow::Result<(Server, Gateway)> {
    let server = Server::start(None, replies).await;
    let options = Options::default()
        .env("VLLM_BASE_URL", &server.base)
        .env("ABSTRACTGATEWAY_RUNNER_SLOTS", SLOTS.to_string());
    let gateway = Gateway::start(options).await?;
    let model = json!({"provider": "vllm", "model": "gpt-4o-mini", "prompt": "hello"});
    let call = Flow::new("call", &[])
        .step("start", "llm", "llm_call", model)
        .step("llm", "end", "on_flow_end", json!({}));
    let plain = Flow::new("plain", &[]).step("start", "end", "on_flow_end", json!({}));
    gateway.api().install(&Bundle::new("sick", [call, plain])).await?;
    Ok((server, gateway))
}

fn percentile_99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn finish(report: &Report, began: Instant) {
    report.emit(began.elapsed());
    assert!(report.pass(), "see the report");
}

/// Calls that hang hold no more slots than there are; cancelling their runs closes the calls and frees the slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_calls_hold_their_slots_and_no_more() -> anyhow::Result<()> {
    const RUNS: usize = 3 * SLOTS;
    let began = Instant::now();
    let mut report = Report::new("O2", 0, "embedded", &["I7", "I8", "I13"]);
    report.node("gateway", 1);
    report.load("runs", RUNS);
    let (server, gateway) = node(vec![Reply::Hang]).await?;
    let api = gateway.api();
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(api.start("sick", "call", json!({})).await?);
    }
    until("the slots to be taken", LIMIT, || async {
        Ok(server.open() >= SLOTS)
    })
    .await?;
    let mut most = 0;
    let mut times = Vec::new();
    // Cancelled one after the other, those that hang and those that wait for a slot.
    for (n, run) in runs.iter().enumerate() {
        most = most.max(server.open());
        let cancelled = Instant::now();
        api.command(&format!("c{n}"), run, "cancel", json!({}))
            .await?
            .ok()?;
        api.until_status(run, &["cancelled"], LIMIT).await?;
        times.push(cancelled.elapsed().as_secs_f64() * 1000.0);
        report.fault();
    }
    let left = Instant::now();
    until("the calls to be closed", LIMIT, || async {
        Ok(server.open() == 0)
    })
    .await?;
    report.bar(
        "last_call_closed_ms",
        left.elapsed().as_secs_f64() * 1000.0,
        1000.0,
    );
    report.bar("slots_held_by_hung_calls", count(most), count(SLOTS));
    report.bar("cancel_to_terminal_ms_p99", percentile_99(times), 2000.0);
    for run in &runs {
        let ledger = api.ledger(run).await?;
        if ledger
            .iter()
            .any(|record| record["status"] == "completed" && record["effect"]["type"] == "llm_call")
        {
            report.violation("I8", format!("{run} went on after its cancel"));
        }
    }
    // The slots are free again.
    let run = api.start("sick", "plain", json!({})).await?;
    if api.until_status(&run, &["completed"], LIMIT).await.is_err() {
        report.violation("I7", "no run progresses after the cancels");
    }
    finish(&report, began);
    Ok(())
}

/// A cancel in every phase of a call: before the answer, in its body, between two tries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_closes_the_call_in_every_phase() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut report = Report::new("O2", 0, "embedded", &["I7", "I8"]);
    report.node("gateway", 1);
    let later = ("retry-after", "60".to_owned());
    let phases = [
        ("before_the_answer", Reply::Hang, true),
        (
            "in_the_body",
            Reply::Stall("application/json", b"{\"choices".to_vec()),
            true,
        ),
        (
            "between_two_tries",
            Reply::Json(429, vec![later], json!({"error": {"message": "later"}})),
            false,
        ),
    ];
    for (phase, reply, open) in phases {
        let (server, gateway) = node(vec![reply]).await?;
        let api = gateway.api();
        let mut times = Vec::new();
        for n in 0..5_usize {
            let run = api.start("sick", "call", json!({})).await?;
            until("the call", LIMIT, || async {
                let posts = server.posts().len();
                Ok(posts == n + 1 && (server.open() > 0) == open)
            })
            .await?;
            let cancelled = Instant::now();
            api.command(&format!("c{n}"), &run, "cancel", json!({}))
                .await?
                .ok()?;
            until("the call to be closed", LIMIT, || async {
                Ok(server.open() == 0)
            })
            .await?;
            if open {
                times.push(cancelled.elapsed().as_secs_f64() * 1000.0);
            }
            api.until_status(&run, &["cancelled"], LIMIT).await?;
            if !open {
                times.push(cancelled.elapsed().as_secs_f64() * 1000.0);
            }
            report.fault();
        }
        report.bar(&format!("{phase}_closed_ms_p99"), percentile_99(times), 1000.0);
        let posts = server.posts().len();
        if posts != 5 {
            report.violation("I8", format!("{phase}: {posts} requests for 5 runs"));
        }
    }
    finish(&report, began);
    Ok(())
}

/// A server that fails, cuts or floods: each run ends with the reason, after so many tries and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_server_is_asked_a_few_times() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut report = Report::new("O2", 0, "embedded", &["I7", "I13"]);
    report.node("gateway", 1);
    let piece = vec![b' '; 1024 * 1024];
    let cases = [
        ("500", Reply::error(500, "boom"), 2, "API error (500): boom"),
        (
            "reset",
            Reply::Reset("application/json", b"{\"choices".to_vec()),
            2,
            "connection lost",
        ),
        (
            "truncated",
            Reply::Cut(b"{\"choices\":[".to_vec()),
            2,
            "connection lost",
        ),
        (
            "100_mb",
            Reply::Flood("application/json", piece, 100),
            1,
            "response is larger than",
        ),
    ];
    for (case, reply, tries, text) in cases {
        let (server, gateway) = node(vec![reply]).await?;
        let api = gateway.api();
        let run = api.start("sick", "call", json!({})).await?;
        let failed = api.until_status(&run, &["failed"], LIMIT).await?;
        let error = failed["error"].as_str().unwrap_or_default();
        if !error.contains(text) {
            report.violation("I7", format!("{case}: {error}"));
        }
        let asked = server.posts().len();
        if asked != tries {
            report.violation("I13", format!("{case}: asked {asked} times"));
        }
        report.bar(&format!("{case}_tries"), count(asked), 3.0);
        report.fault();
        if case == "100_mb" {
            let peak = peak_mb(&gateway).unwrap_or_default();
            // The limit of an answer is 64 MiB; it is held once, beside what a gateway needs anyway.
            report.bar("100_mb_peak_rss_mb", peak, 400.0);
        }
        let plain = api.start("sick", "plain", json!({})).await?;
        api.until_status(&plain, &["completed"], LIMIT).await?;
    }
    finish(&report, began);
    Ok(())
}

/// Bursts of 500 open the circuit: further runs fail at once, without a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_circuit_spares_the_server() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut report = Report::new("O2", 0, "embedded", &["I7", "I13"]);
    report.node("gateway", 1);
    let (server, gateway) = node(vec![Reply::error(500, "boom")]).await?;
    let api = gateway.api();
    let mut errors: Vec<Value> = Vec::new();
    for _ in 0..8 {
        let run = api.start("sick", "call", json!({})).await?;
        errors.push(api.until_status(&run, &["failed"], LIMIT).await?["error"].take());
        report.fault();
    }
    let refused = errors
        .iter()
        .filter(|error| error.to_string().contains("Circuit breaker open"));
    let refused = refused.count();
    report.figure("refused_without_a_request", refused);
    report.bar("requests", count(server.posts().len()), 10.0);
    if refused != 3 {
        report.violation("I13", format!("{refused} of 8 runs were refused: {errors:?}"));
    }
    finish(&report, began);
    Ok(())
}

/// Peak memory of the gateway's process.
fn peak_mb(gateway: &Gateway) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid()?)).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: f64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some((kb / 1024.0).round())
}
