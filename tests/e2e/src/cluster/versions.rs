//! Row R6: what a run was started with is what it executes, whatever becomes of its bundle; and what a runner does not
//! know it leaves to others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{Api, Bundle, Flow, report::Report, until};

use super::{Field, nest, rest, seconds};

const LIMIT: Duration = Duration::from_secs(20);
const BUNDLE: &str = "kept";
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

/// A question, then a child run, then a message; `edition` is in everything that they say.
fn bundle(version: &str, edition: &str) -> Bundle {
    let say = |text: &str| json!({"message": format!("{text} of {edition}")});
    let main = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .node("sub", "subflow", json!({"subflowId": "leaf"}))
        .then("q", "sub")
        .step("sub", "a", "answer_user", say("the end"))
        .step("a", "end", "on_flow_end", json!({}));
    let leaf = Flow::new("leaf", &[])
        .step("start", "a", "answer_user", say("a leaf"))
        .step("a", "end", "on_flow_end", json!({}));
    // A deprecation concerns entries.
    Bundle::new(BUNDLE, [main, leaf]).version(version).one_entry()
}

/// What happens to a bundle while its runs wait, in this order, and what a new start then gets.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The same version with other flows.
    Overwritten,
    /// A later version, which unversioned starts get.
    Promoted,
    /// Starts are refused.
    Deprecated,
    /// It is gone.
    Removed,
}

impl Change {
    const ALL: [Self; 4] = [Self::Overwritten, Self::Promoted, Self::Deprecated, Self::Removed];

    async fn make(self, api: &Api) -> Result<()> {
        let path = format!("/api/gateway/bundles/{BUNDLE}");
        match self {
            Self::Overwritten => api.install(&bundle("1.0.0", "the second edition")).await?,
            Self::Promoted => api.install(&bundle("2.0.0", "the third edition")).await?,
            Self::Deprecated => {
                let body = json!({"reason": "old"});
                api.post(&format!("{path}/deprecate"), &body).await?.ok()?;
            }
            Self::Removed => {
                api.send(api.request("DELETE", &path)).await?.ok()?;
            }
        }
        Ok(())
    }

    /// What a new start without a version says in the end, or how it is refused.
    fn new_start(self) -> Result<&'static str, u16> {
        match self {
            Self::Overwritten => Ok("the second edition"),
            Self::Promoted => Ok("the third edition"),
            Self::Deprecated => Err(409),
            Self::Removed => Err(404),
        }
    }
}

/// Runs that wait while their bundle is overwritten, superseded, deprecated and removed; after each change the runners
/// are new, so that nothing is remembered, and some of the runs go on.
///
/// # Errors
/// The scenario cannot go on.
pub async fn changed_bundles(field: &mut Field, each: usize) -> Result<Report> {
    const FIRST: &str = "the first edition";
    let began = Instant::now();
    let mut report = field.report("R6 bundles", &["I4", "I7"]);
    let nodes = field.nodes();
    nodes[0].install(&bundle("1.0.0", FIRST)).await?;
    let count = Change::ALL.len() * each;
    let starts = (0..count).map(|n| nodes[n % nodes.len()].start(BUNDLE, "main", json!({})));
    let runs: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    for run in &runs {
        waits(&nodes[0], run).await?;
    }
    let pinned = shas(field).await?;
    let (mut failed, mut others) = (0, 0);
    for (n, change) in Change::ALL.into_iter().enumerate() {
        change.make(&nodes[n % nodes.len()]).await?;
        report.fault();
        let renewed = field.cluster.runners.iter_mut().map(async |runner| {
            runner.terminate().await?;
            runner.start().await
        });
        for renewed in join_all(renewed).await {
            renewed?;
        }
        let there = &nodes[(n + 1) % nodes.len()];
        let new = new_start(there, change).await?;
        if let Some(wrong) = new {
            report.violation("I4", wrong);
        }
        for run in &runs[n * each..(n + 1) * each] {
            answer(there, run).await?;
        }
        for run in &runs[n * each..(n + 1) * each] {
            let ended = there.until_status(run, &ENDED, LIMIT).await?;
            if ended["status"] != "completed" {
                failed += 1;
                report.violation("I7", format!("{change:?}: run {run} ended as {ended}"));
                continue;
            }
            let said = said(there, run).await?;
            if said.len() != 2 || !said.iter().all(|text| text.ends_with(FIRST)) {
                others += 1;
                report.violation("I4", format!("{change:?}: run {run} and its child said {said:?}"));
            }
        }
    }
    let mut strangers = 0;
    for (run, sha) in shas(field).await? {
        let first = pinned.values().next().context("no run has a bundle")?;
        // Those started later have other ones on purpose; children of the first ones have theirs.
        let kin = runs.contains(&run.0) || runs.contains(&run.1);
        strangers += usize::from(kin && sha != *first);
    }
    report.figure("runs", count);
    report.figure("changes", Change::ALL.len());
    report.bar("runs_failed", failed as f64, 0.0);
    report.bar("runs_that_executed_another_edition", f64::from(others), 0.0);
    report.bar("runs_with_another_sha256", strangers as f64, 0.0);
    until("the end of the runs", LIMIT, || async {
        Ok(field.cluster.number("SELECT count(*) FROM run_heads").await? == 0)
    })
    .await?;
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

async fn waits(api: &Api, run: &str) -> Result<()> {
    until("the question", LIMIT, || async {
        Ok(api.run(run).await?["waiting"]["reason"] == "user")
    })
    .await
}

async fn answer(api: &Api, run: &str) -> Result<()> {
    let payload = json!({"payload": {"response": "go on"}});
    let posted = api
        .command(&format!("answer-{run}"), run, "resume", payload)
        .await?;
    posted.ok().map(drop)
}

/// What is wrong with a new start after a change.
async fn new_start(api: &Api, change: Change) -> Result<Option<String>> {
    let body = json!({"bundle_id": BUNDLE, "flow_id": "main", "input_data": {}});
    let reply = api.post("/api/gateway/runs/start", &body).await?;
    let wanted = change.new_start();
    let run = match (reply.body["run_id"].as_str(), wanted) {
        (None, Err(status)) if reply.status == status => return Ok(None),
        (Some(run), Ok(_)) => run.to_owned(),
        _ => {
            return Ok(Some(format!(
                "{change:?}: a new start got {} {}",
                reply.status, reply.text
            )));
        }
    };
    waits(api, &run).await?;
    answer(api, &run).await?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    let said = said(api, &run).await?;
    let as_wanted = said.len() == 2
        && said
            .iter()
            .all(|text| wanted.is_ok_and(|end| text.ends_with(end)));
    Ok((!as_wanted).then(|| format!("{change:?}: a new run said {said:?}")))
}

/// What a run and its child have said.
async fn said(api: &Api, run: &str) -> Result<Vec<String>> {
    let mut records = api.ledger(run).await?;
    let child = records
        .iter()
        .find_map(|record| record["result"]["wait"]["details"]["sub_run_id"].as_str())
        .context("no child was started")?;
    let of_child = api.ledger(child).await?;
    records.extend(of_child);
    let said = records
        .iter()
        .filter(|record| record["status"] == "completed" && record["node_id"] == "a")
        .filter_map(|record| record["result"]["message"].as_str().map(str::to_owned));
    Ok(said.collect())
}

/// The bundle of each run of this scenario: run and parent, and content hash.
async fn shas(field: &Field) -> Result<BTreeMap<(String, String), String>> {
    const SHAS: &str = "SELECT concat_ws(' ', run_id, coalesce(parent_run_id::text, '-'), bundle_sha256) FROM runs \
         WHERE workflow_id LIKE 'kept@%'";
    let rows = field.cluster.texts(SHAS).await?;
    let split = |row: &String| {
        let mut parts = row.split(' ').map(str::to_owned);
        Some(((parts.next()?, parts.next()?), parts.next()?))
    };
    rows.iter()
        .map(|row| split(row).with_context(|| format!("a run without bundle: {row}")))
        .collect()
}

/// A node type that these runners do not know.
const NEWS: &str = "from_next_year";

/// Runs with a node type that their runners do not know, while whoever accepted them did (their stored state says so:
/// one binary plays both). The runners leave them alone without failing them, serve everybody else, and take them up
/// once they know the type.
///
/// # Errors
/// The scenario cannot go on.
pub async fn unknown_types(field: &mut Field, runs: usize) -> Result<Report> {
    const HANDED_BACK: &str = "gateway_runs_handed_back_total";
    const FORGET: &str = "UPDATE runs SET meta = (meta::jsonb - 'foreign_types')::text \
         WHERE workflow_id LIKE 'news@%' AND status = 'waiting' RETURNING run_id::text";
    const LEARN: &str = "UPDATE runs SET meta = (meta::jsonb || '{\"foreign_types\": [\"from_next_year\"]}')::text \
         WHERE workflow_id LIKE 'news@%' AND status = 'running' RETURNING run_id::text";
    const READY: &str = "SELECT count(*) FROM run_heads WHERE owner IS NULL AND ready_at IS NOT NULL";
    let began = Instant::now();
    let mut report = field.report("R6 node types", &["I7", "I12"]);
    let nodes = field.nodes();
    let flow = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .node("n", NEWS, json!({}))
        .then("q", "n")
        .step("n", "end", "on_flow_end", json!({}));
    nodes[0].install(&Bundle::new("news", [flow])).await?;
    let starts = (0..runs).map(|n| nodes[n % nodes.len()].start("news", "main", json!({})));
    let strange: Vec<String> = join_all(starts).await.into_iter().collect::<Result<_>>()?;
    for run in &strange {
        waits(&nodes[0], run).await?;
    }
    let changed = field.cluster.texts(FORGET).await?;
    ensure!(
        changed.len() == runs,
        "{} of {runs} runs were changed",
        changed.len()
    );
    report.fault();
    let before = field.of_runners(HANDED_BACK).await?;
    for run in &strange {
        answer(&nodes[0], run).await?;
    }
    // Everybody else goes on beside them.
    let mut slowest = Duration::ZERO;
    for n in 0..runs {
        let posted = Instant::now();
        let run = nodes[n % nodes.len()]
            .start(nest::BUNDLE, "ask", json!({}))
            .await?;
        waits(&nodes[0], &run).await?;
        answer(&nodes[0], &run).await?;
        nodes[0].until_status(&run, &["completed"], LIMIT).await?;
        slowest = slowest.max(posted.elapsed());
    }
    report.bar("others_done_s_max", seconds(slowest), 5.0);
    // Each runner looks at each of them once, and leaves it alone for a while.
    let wanted = i64::try_from(runs)?;
    until("all of them to be handed back", LIMIT, || async {
        let back = field.of_runners(HANDED_BACK).await? - before;
        Ok(back >= runs as f64 && field.cluster.number(READY).await? == wanted)
    })
    .await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let back = field.of_runners(HANDED_BACK).await? - before;
    report.figure("handed_back", back);
    // Once more where a wake-up of its own came before the runner had made a note of it.
    let most = 2 * runs * field.cluster.runners.len();
    report.bar("handed_back_again_and_again", (back - most as f64).max(0.0), 0.0);
    let mut failed = 0;
    for run in &strange {
        let seen = nodes[0].run(run).await?;
        if seen["status"] != "running" {
            failed += 1;
            report.violation("I7", format!("run {run} is {seen}"));
        }
    }
    report.bar("runs_failed_for_an_unknown_type", f64::from(failed), 0.0);
    // Runners that know the type come up.
    for runner in &mut field.cluster.runners {
        runner.terminate().await?;
    }
    field.cluster.texts(LEARN).await?;
    let upgraded = Instant::now();
    for started in join_all(field.cluster.runners.iter_mut().map(|runner| runner.start())).await {
        started?;
    }
    for run in &strange {
        let ended: Value = nodes[0].until_status(run, &ENDED, LIMIT).await?;
        if ended["status"] != "completed" {
            report.violation("I7", format!("run {run} ended as {ended}"));
        }
    }
    report.bar("taken_up_s", seconds(upgraded.elapsed()), LIMIT.as_secs_f64());
    report.figure("runs", runs);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}
