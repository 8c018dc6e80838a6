//! Row R7 of the fault matrix in embedded mode: a run that ends the process, among many that do not. On a cluster:
//! `cluster`.

use std::time::{Duration, Instant};

use ag_e2e::{Bundle, FakeUpstream, Flow, Gateway, Options, points, report::Report, until};
use ag_testkit::EndedEarly;
use anyhow::ensure;
use futures::future::join_all;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const LIFE: Duration = Duration::from_secs(8);
const INNOCENTS: usize = 20;
/// Deaths after which a run is parked.
const DEATHS: usize = 3;

/// Two flows that do the same; the process is told to die of one of them.
fn bundle() -> Bundle {
    let call = |id: &str| {
        let route = json!({"provider": "openai-compatible", "model": "gpt-4o-mini", "prompt": id});
        Flow::new(id, &[])
            .step("start", "l1", "llm_call", route)
            .step("l1", "end", "on_flow_end", json!({}))
    };
    Bundle::new("calls", [call("poison"), call("innocent")])
}

fn slow(delay: Duration) -> Value {
    json!({"default": {"content": "fine", "delay_ms": delay.as_millis() as u64}})
}

/// One death takes everything with it that was under way; afterwards only the culprit is charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_run_is_parked_and_nobody_else() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut report = Report::new("R7", 0, "embedded", &["I6", "I7", "I12"]);
    report.node("gateway", 1);
    let upstream = FakeUpstream::start().await?;
    upstream.script(&slow(2 * LIMIT)).await?;
    let options = Options::default()
        .upstream(upstream.base_url())
        .env(points::FAILPOINTS, "nothing=abort");
    let mut gateway = Gateway::start(options).await?;
    if !gateway.log().contains(points::ARMED) {
        report.skip("the binary has no failpoints: it was built without debug assertions");
        report.emit(began.elapsed());
        return Ok(());
    }
    let api = gateway.api();
    api.install(&bundle()).await?;
    // First in every queue, so that it dies before any of the others could be done.
    let poison = api.start("calls", "poison", json!({})).await?;
    let mut innocents = Vec::new();
    for _ in 0..INNOCENTS {
        innocents.push(api.start("calls", "innocent", json!({})).await?);
    }
    until("all calls", LIMIT, || async {
        Ok(upstream.journal()?.len() > INNOCENTS)
    })
    .await?;
    gateway.kill9().await?;
    // Longer than any of the lives that follow: nobody makes progress in them.
    upstream.script(&slow(LIFE)).await?;
    gateway.set_env(points::FAILPOINTS, Some("step.before_effect[:poison]=abort"));

    let mut deaths = 1;
    let parked = loop {
        match gateway.restart().await {
            Ok(_) => {}
            // It met the run before it accepted connections.
            Err(error) if error.downcast_ref::<EndedEarly>().is_some() => {
                deaths += 1;
                continue;
            }
            Err(error) => return Err(error),
        }
        let api = gateway.api();
        let parked = until("the run to be parked", LIMIT, || async {
            // The process may die meanwhile.
            Ok(api.run(&poison).await.is_ok_and(|run| run["paused"] == true))
        });
        tokio::select! {
            parked = parked => {
                parked?;
                break api.run(&poison).await?;
            }
            ended = gateway.ended(LIMIT) => {
                ended?;
                deaths += 1;
            }
        }
        ensure!(
            deaths <= 2 * DEATHS,
            "the run is not parked after {deaths} deaths"
        );
    };
    let reason = parked["pause_reason"].as_str().unwrap_or_default();
    if !reason.starts_with("parked after 3 runner crashes at node") {
        report.violation("I7", format!("the reason reads `{reason}`"));
    }
    report.figure("deaths", deaths);
    report.bar("deaths_beyond_the_limit", deaths as f64 - DEATHS as f64, 0.0);

    // The others go on, one after the other.
    upstream.script(&slow(Duration::ZERO)).await?;
    let api = gateway.api();
    let ends = innocents
        .iter()
        .map(|run| api.until_status(run, &["completed"], LIMIT));
    for ended in join_all(ends).await {
        if let Err(error) = ended {
            report.violation("I12", format!("{error:#}"));
        }
    }
    report.figure("innocents", innocents.len());
    ensure!(api.run(&poison).await?["paused"] == true, "parked for good");

    // A person who has repaired the cause lets it go on.
    gateway.set_env(points::FAILPOINTS, None);
    gateway.terminate().await?;
    gateway.restart().await?;
    let api = gateway.api();
    api.command("again", &poison, "resume", json!({})).await?.ok()?;
    api.until_status(&poison, &["completed"], LIMIT).await?;
    report.emit(began.elapsed());
    ensure!(report.pass(), "see the report line");
    Ok(())
}
