//! What is asked of one node and must hold on the other: rows R9, R10 and R11, and the registry.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{Api, Bundle, Flow, report::Report, until};

use super::{Field, nest, rest, seconds};

const LIMIT: Duration = Duration::from_secs(20);
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

async fn asking(nodes: &[Api], count: usize) -> Result<Vec<String>> {
    let starts = (0..count).map(|n| nodes[n % nodes.len()].start(nest::BUNDLE, "ask", json!({})));
    let runs: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    for run in &runs {
        let api = &nodes[0];
        until("the question", LIMIT, || async {
            Ok(api.run(run).await?["waiting"]["reason"] == "user")
        })
        .await?;
    }
    Ok(runs)
}

fn answer(text: &str) -> Value {
    json!({"payload": {"response": text}})
}

/// What became of a command: null if it was applied or not looked at yet.
async fn outcome(api: &Api, id: &str) -> Result<Value> {
    Ok(api.get(&format!("/api/gateway/commands/{id}")).await?.ok()?["outcome"].clone())
}

/// Row R9: the same command, and the same start, many times at once on all nodes.
///
/// # Errors
/// The scenario cannot go on.
pub async fn same_id(field: &mut Field, runs: usize) -> Result<Report> {
    const TIMES: usize = 20;
    let began = Instant::now();
    let mut report = field.report("R9", &["I2"]);
    let nodes = field.nodes();
    for n in 0..runs {
        let key = format!("same-start-{n}");
        let sent = (0..TIMES)
            .map(|n| nodes[n % nodes.len()].start_once(&key, nest::BUNDLE, "call", nest::input(&key)));
        let mut started: Vec<String> = join_all(sent).await.into_iter().collect::<Result<_>>()?;
        started.sort();
        started.dedup();
        let calls = |calls: Vec<crate::Call>| {
            calls
                .iter()
                .filter(|call| call.last_user().contains(&nest::prompt(&key)))
                .count()
        };
        nodes[0].until_status(&started[0], &ENDED, LIMIT).await?;
        let made = calls(field.upstream.journal()?);
        if started.len() != 1 || made != 1 {
            report.violation("I2", format!("start {key}: runs {started:?}, {made} calls"));
        }
    }
    for (n, run) in asking(&nodes, runs).await?.into_iter().enumerate() {
        let id = format!("same-{n}-{run}");
        let sent = (0..TIMES).map(|n| {
            let (api, id, run) = (&nodes[n % nodes.len()], &id, &run);
            async move { api.command(id, run, "resume", answer("yes")).await }
        });
        let mut accepted = 0;
        let mut numbers = Vec::new();
        for reply in join_all(sent).await {
            let reply = reply?.ok()?;
            accepted += usize::from(reply["accepted"] == true && reply["duplicate"] == false);
            numbers.push(reply["seq"].as_u64());
        }
        numbers.dedup();
        if accepted != 1 || numbers.len() != 1 {
            report.violation(
                "I2",
                format!("run {run}: {accepted} accepted, numbers {numbers:?}"),
            );
        }
        let ended = nodes[0].until_status(&run, &ENDED, LIMIT).await?;
        let resumed = completions(&nodes[0].ledger(&run).await?, "q");
        if ended["status"] != "completed" || resumed != 1 {
            report.violation("I2", format!("run {run} was resumed {resumed} times: {ended}"));
        }
    }
    report.figure("commands", runs);
    report.figure("starts", runs);
    report.figure("copies_of_each", TIMES);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// How often a question was answered; the record of the run's own end may stand at the same node.
fn completions(records: &[Value], node: &str) -> usize {
    let own = |record: &&Value| {
        record["node_id"] == node
            && record["status"] == "completed"
            && record["effect"]["type"] != "emit_event"
    };
    records.iter().filter(own).count()
}

/// Row R10: ten different answers to one question at once, and a cancel among answers. One wins; a cancel that won is
/// never overwritten; every loser says why it lost.
///
/// # Errors
/// The scenario cannot go on.
pub async fn one_winner(field: &mut Field, runs: usize) -> Result<Report> {
    const ANSWERS: usize = 10;
    let began = Instant::now();
    let mut report = field.report("R10", &["I2", "I4", "I8"]);
    let nodes = field.nodes();
    let mut cancelled = 0;
    for (n, run) in asking(&nodes, runs).await?.into_iter().enumerate() {
        // In every other run, one of the commands is a cancel.
        let with_cancel = n % 2 == 1;
        let ids: Vec<String> = (0..ANSWERS).map(|k| format!("race-{n}-{k}-{run}")).collect();
        let sent = ids.iter().enumerate().map(|(k, id)| {
            let (api, run) = (&nodes[(n + k) % nodes.len()], &run);
            async move {
                match with_cancel && k == ANSWERS / 2 {
                    true => api.command(id, run, "cancel", json!({"reason": "race"})).await,
                    false => api.command(id, run, "resume", answer(id)).await,
                }
            }
        });
        for reply in join_all(sent).await {
            let reply = reply?.ok()?;
            ensure!(reply["accepted"] == true, "a command was not accepted: {reply}");
        }
        let first = nodes[0].until_status(&run, &ENDED, LIMIT).await?["status"].clone();
        let records = nodes[1 % nodes.len()].ledger(&run).await?;
        let mut losers = 0;
        for id in &ids {
            losers += usize::from(outcome(&nodes[0], id).await?.is_string());
        }
        let winners = ids
            .iter()
            .filter(|id| {
                records
                    .iter()
                    .any(|record| record.to_string().contains(id.as_str()))
            })
            .count();
        cancelled += usize::from(first == "cancelled");
        let expected = usize::from(first == "completed");
        if completions(&records, "q") != expected || winners != expected {
            report.violation(
                "I2",
                format!(
                    "run {run} ({first}): {winners} answers in {} records",
                    records.len()
                ),
            );
        }
        // A cancel of an ended run is no refusal of an answer; all other losers are named.
        if losers + 1 + usize::from(with_cancel) < ANSWERS {
            report.violation(
                "I2",
                format!("run {run} ({first}): only {losers} of {ANSWERS} commands say that they lost"),
            );
        }
        let again = nodes[0].run(&run).await?["status"].clone();
        if again != first || nodes[0].ledger(&run).await? != records {
            report.violation("I8", format!("run {run} was {first} and is {again}"));
        }
    }
    report.figure("races", runs);
    report.figure("won_by_cancel", cancelled);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// What one node installs, deprecates and removes is so on the other one at once.
///
/// # Errors
/// The scenario cannot go on.
pub async fn registry(field: &mut Field, rounds: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("D18", &["I1"]);
    let nodes = field.nodes();
    let flow = Flow::new("main", &[]).step("start", "end", "on_flow_end", json!({}));
    let bundle = Bundle::new("known", [flow]);
    let path = "/api/gateway/bundles/known";
    for round in 0..rounds {
        let (here, there) = (&nodes[round % nodes.len()], &nodes[(round + 1) % nodes.len()]);
        let mut expect = async |what: &str, wanted: u16| -> Result<()> {
            let body = match round % 4 < 2 {
                true => json!({"flow_id": "known@1.0.0:main", "input_data": {}}),
                false => json!({"bundle_id": "known", "flow_id": "main", "input_data": {}}),
            };
            let reply = there.post("/api/gateway/runs/start", &body).await?;
            if reply.status != wanted {
                report.violation(
                    "I1",
                    format!("{what}: the other node answers {} {}", reply.status, reply.text),
                );
            }
            Ok(())
        };
        here.install(&bundle).await?;
        expect("installed", 200).await?;
        here.post(&format!("{path}/deprecate"), &json!({"reason": "old"}))
            .await?
            .ok()?;
        expect("deprecated", 409).await?;
        here.post(&format!("{path}/undeprecate"), &json!({}))
            .await?
            .ok()?;
        expect("no longer deprecated", 200).await?;
        here.send(here.request("DELETE", path)).await?.ok()?;
        expect("removed", 404).await?;
    }
    report.figure("rounds", rounds);
    until("the end of the runs", LIMIT, || async {
        Ok(field.cluster.number("SELECT count(*) FROM run_heads").await? == 0)
    })
    .await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}

/// Row R11: a cancel on one node reaches a call that a runner has open, and whole trees.
///
/// # Errors
/// The scenario cannot go on.
pub async fn cancels(field: &mut Field, calls: usize, trees: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("R11", &["I7", "I8"]);
    let nodes = field.nodes();
    let names: Vec<String> = (0..calls).map(|n| format!("r11-{n}")).collect();
    field.upstream.script(&nest::first_calls_hang(&names)).await?;
    let (mut ended, mut closed) = (Duration::ZERO, Duration::ZERO);
    for (n, name) in names.iter().enumerate() {
        let (here, there) = (&nodes[n % nodes.len()], &nodes[(n + 1) % nodes.len()]);
        let before = field.upstream.journal()?.len();
        let run = here.start(nest::BUNDLE, "call", nest::input(name)).await?;
        until("the call", LIMIT, || async {
            Ok(field.upstream.journal()?.len() > before)
        })
        .await?;
        let open = field.tap.clients();
        let sent = Instant::now();
        there
            .command(
                &format!("cancel-{run}"),
                &run,
                "cancel",
                json!({"reason": "enough"}),
            )
            .await?
            .ok()?;
        until("the end of the call", LIMIT, || async {
            Ok(field.tap.clients() < open)
        })
        .await?;
        closed = closed.max(sent.elapsed());
        here.until_status(&run, &["cancelled"], LIMIT).await?;
        ended = ended.max(sent.elapsed());
    }
    report.bar("call_closed_s_max", seconds(closed), 1.0);
    report.bar("call_cancelled_s_max", seconds(ended), 1.2);

    let starts = (0..trees).map(|n| nodes[n % nodes.len()].start(nest::BUNDLE, "tree", json!({})));
    let roots: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    let live = "SELECT count(*) FROM run_heads";
    let asking = "SELECT count(*) FROM runs WHERE wait_reason = 'user' AND status = 'waiting'";
    let wanted = i64::try_from(trees)?;
    until("the questions of the leaves", LIMIT, || async {
        Ok(field.cluster.number(asking).await? == wanted)
    })
    .await?;
    let sent = Instant::now();
    for (n, root) in roots.iter().enumerate() {
        let api = &nodes[(n + 1) % nodes.len()];
        api.command(&format!("cancel-{root}"), root, "cancel", json!({}))
            .await?
            .ok()?;
    }
    until("the end of the trees", LIMIT, || async {
        Ok(field.cluster.number(live).await? == 0)
    })
    .await
    .context("live descendants are left")?;
    // Three ends each; many trees share what the machine has.
    let bar = 3.0_f64.max(0.1 * trees as f64);
    report.bar("trees_cancelled_s", seconds(sent.elapsed()), bar);
    report.figure("trees", trees);
    let statuses = field
        .cluster
        .number("SELECT count(*) FROM runs WHERE workflow_id LIKE '%nest%' AND status NOT IN ('cancelled', 'completed')")
        .await?;
    report.bar("runs_of_trees_left", statuses as f64, 0.0);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}
