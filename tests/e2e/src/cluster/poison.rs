//! What must harm nobody else: rows R7 and R8.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{Api, points::FAILPOINTS, report::Report, until, until_some};

use super::{Field, nest, points, rest, seconds};

const LIMIT: Duration = Duration::from_secs(20);
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];
/// Deaths of its holders after which a run is parked.
const DEATHS: u64 = 3;

/// Row R7: a run whose effect ends the process that performs it. It is parked with its reason; others go on.
///
/// # Errors
/// The scenario cannot go on.
pub async fn poison_run(field: &mut Field, others: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("R7", &["I6", "I7", "I12"]);
    if !points::present(field, &mut report) {
        report.emit(began.elapsed());
        return Ok(report);
    }
    field
        .upstream
        .script(&json!({"default": {"content": "fine", "delay_ms": 150}}))
        .await?;
    let alone = calls_done(field, "r7-alone", others).await?;
    for runner in &mut field.cluster.runners {
        runner.kill9().await?;
        runner.set_env(FAILPOINTS, Some("step.before_effect[:poison]=abort"));
        runner.start().await?;
    }
    let nodes = field.nodes();
    let run = nodes[0]
        .start(nest::BUNDLE, "poison", nest::input("r7-poison"))
        .await?;
    let names: Vec<String> = (0..others).map(|n| format!("r7-beside-{n}")).collect();
    let started = Instant::now();
    let starts = names
        .iter()
        .zip(nodes.iter().cycle())
        .map(|(name, api)| api.start(nest::BUNDLE, "call", nest::input(name)));
    let good: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    // Whoever supervises the runners starts them again.
    let mut deaths = 0;
    let end = Instant::now() + 3 * LIMIT;
    let parked = loop {
        for runner in &mut field.cluster.runners {
            if !runner.is_running() {
                deaths += 1;
                report.fault();
                // A process that finds the run again may die before it is ready.
                let _ = runner.start().await;
            }
        }
        let seen = nodes[1 % nodes.len()].run(&run).await?;
        if seen["paused"] == true {
            break seen;
        }
        ensure!(
            Instant::now() < end,
            "the run is not parked after {deaths} deaths: {seen}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let reason = parked["pause_reason"].as_str().unwrap_or_default();
    if !reason.starts_with("parked after 3 runner crashes at node") {
        report.violation("I7", format!("the reason reads `{reason}`"));
    }
    for run in &good {
        let ended = nodes[0].until_status(run, &ENDED, LIMIT).await?;
        if ended["status"] != "completed" {
            report.violation("I12", format!("run {run} beside it: {ended}"));
        }
    }
    let beside = started.elapsed();
    let records = nodes[0].ledger(&run).await?;
    let attempts = records
        .iter()
        .filter_map(|record| record["attempt"].as_u64())
        .max();
    report.figure("attempts_before_quarantine", attempts.unwrap_or(0));
    report.bar(
        "attempts_beyond_the_limit",
        attempts.unwrap_or(0) as f64 - DEATHS as f64,
        0.0,
    );
    report.figure("deaths_of_runners", deaths);
    report.figure("others", others);
    report.figure("others_done_s_alone", seconds(alone));
    report.figure("others_done_s_beside", seconds(beside));
    let good: Vec<_> = good.into_iter().zip(names).collect();
    super::handover::check_calls(field, &good, 1..=1 + deaths, &mut report).await?;

    for runner in &mut field.cluster.runners {
        if runner.is_running() {
            runner.kill9().await?;
        }
        runner.set_env(FAILPOINTS, None);
        runner.start().await?;
    }
    // A person who has repaired the cause lets it go on.
    nodes[0]
        .command(&format!("again-{run}"), &run, "resume", json!({}))
        .await?
        .ok()?;
    nodes[0].until_status(&run, &["completed"], LIMIT).await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// How long so many calls take.
async fn calls_done(field: &Field, prefix: &str, count: usize) -> Result<Duration> {
    let nodes = field.nodes();
    let began = Instant::now();
    let starts = (0..count)
        .map(|n| (format!("{prefix}-{n}"), &nodes[n % nodes.len()]))
        .map(async |(name, api)| api.start(nest::BUNDLE, "call", nest::input(&name)).await);
    for run in join_all(starts).await {
        nodes[0].until_status(&run?, &["completed"], LIMIT).await?;
    }
    Ok(began.elapsed())
}

/// What a command that means nothing gets.
enum Bad {
    /// Refused at once.
    Status(u16),
    /// Stored, with an outcome that says why nothing happened.
    Outcome(&'static str),
}

/// Commands that cannot be carried out, to a run that waits for an answer (and one that has ended).
fn bad_commands(asking: &str, ended: &str) -> Vec<(Value, Bad)> {
    let to = |run: &str, kind: &str, payload: Value| json!({"run_id": run, "type": kind, "payload": payload});
    vec![
        (
            to("00000000-0000-7000-8000-000000000000", "cancel", json!({})),
            Bad::Status(404),
        ),
        (
            to("no-such-run", "resume", json!({"payload": {}})),
            Bad::Status(404),
        ),
        (to(asking, "explode", json!({})), Bad::Status(400)),
        (to(asking, "resume", json!("text")), Bad::Status(422)),
        (
            to(
                asking,
                "resume",
                json!({"payload": {"text": "x".repeat(1 << 20)}}),
            ),
            Bad::Status(413),
        ),
        (
            to(
                asking,
                "resume",
                json!({"wait_key": "another", "payload": {"response": "no"}}),
            ),
            Bad::Outcome("wait_key"),
        ),
        (
            to(asking, "resume", json!({"payload": "no object"})),
            Bad::Outcome("object"),
        ),
        (
            to(asking, "update_schedule", json!({"interval": "5m"})),
            Bad::Outcome("scheduled"),
        ),
        (to(asking, "compact_memory", json!({})), Bad::Outcome("scheduled")),
        (to(asking, "emit_event", json!({})), Bad::Outcome("name")),
        (
            to(ended, "resume", json!({"payload": {"response": "late"}})),
            Bad::Outcome("ended"),
        ),
        (to(ended, "cancel", json!({})), Bad::Outcome("ended")),
    ]
}

/// Row R8: commands that cannot be carried out, mixed with good ones. Each says what became of it; the good ones do not
/// notice.
///
/// # Errors
/// The scenario cannot go on.
pub async fn poison_commands(field: &mut Field, runs: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("R8", &["I2", "I7"]);
    let nodes = field.nodes();
    let over = nodes[0].start(nest::BUNDLE, "ask", json!({})).await?;
    nodes[0]
        .command("r8-over", &over, "cancel", json!({}))
        .await?
        .ok()?;
    nodes[0].until_status(&over, &["cancelled"], LIMIT).await?;
    let (mut alone, mut among) = (Vec::new(), Vec::new());
    let (mut bad_sent, mut undecided) = (0, 0);
    for n in 0..runs {
        let run = nodes[n % nodes.len()]
            .start(nest::BUNDLE, "ask", json!({}))
            .await?;
        until("the question", LIMIT, || async {
            Ok(nodes[0].run(&run).await?["waiting"]["reason"] == "user")
        })
        .await?;
        let sent = if n % 2 == 0 {
            Vec::new()
        } else {
            bad_commands(&run, &over)
        };
        let bad = sent.iter().enumerate().map(|(k, (body, wanted))| {
            let (api, mut body) = (&nodes[(n + k) % nodes.len()], body.clone());
            let id = format!("r8-{n}-{k}");
            body["command_id"] = json!(id);
            async move { judge(api, &id, &body, wanted).await }
        });
        let good = async {
            let posted = Instant::now();
            let payload = json!({"payload": {"response": "yes"}});
            nodes[0]
                .command(&format!("r8-good-{run}"), &run, "resume", payload)
                .await?
                .ok()?;
            nodes[0].until_status(&run, &["completed"], LIMIT).await?;
            anyhow::Ok(posted.elapsed())
        };
        let (judged, took) = tokio::join!(join_all(bad), good);
        match sent.is_empty() {
            true => alone.push(took?),
            false => among.push(took?),
        }
        bad_sent += judged.len();
        for wrong in judged {
            if let Some(wrong) = wrong? {
                undecided += 1;
                report.violation("I2", wrong);
            }
        }
    }
    let slowest = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
    report.figure("good_commands", alone.len() + among.len());
    report.figure("bad_commands", bad_sent);
    report.bar("without_a_visible_end", f64::from(undecided), 0.0);
    report.figure("good_done_s_max_alone", seconds(slowest(&alone)));
    report.bar("good_done_s_max", seconds(slowest(&among)), 2.0);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// What was wrong with the answer to a bad command.
async fn judge(api: &Api, id: &str, body: &Value, wanted: &Bad) -> Result<Option<String>> {
    let reply = api.post("/api/gateway/commands", body).await?;
    let kind = &body["type"];
    Ok(match wanted {
        Bad::Status(status) if reply.status == *status && !reply.body["detail"].is_null() => None,
        Bad::Status(status) => Some(format!(
            "{kind}: wanted {status}, got {} {}",
            reply.status, reply.text
        )),
        Bad::Outcome(_) if reply.status != 200 => Some(format!("{kind}: {} {}", reply.status, reply.text)),
        Bad::Outcome(part) => {
            let path = format!("/api/gateway/commands/{id}");
            let outcome = until_some("an outcome", LIMIT, || async {
                Ok(api.get(&path).await?.ok()?["outcome"].as_str().map(str::to_owned))
            })
            .await;
            match outcome {
                // The good answer beside it may come first.
                Ok(text)
                    if [*part, "ended", "not waiting"]
                        .iter()
                        .any(|part| text.contains(part)) =>
                {
                    None
                }
                Ok(text) => Some(format!("{kind}: the outcome reads `{text}`")),
                Err(error) => Some(format!("{kind}: {error:#}")),
            }
        }
    })
}
