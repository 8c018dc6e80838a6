//! The clients: each looks after runs until the process is gone or everything has ended.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Api, FakeUpstream, client::Refused, upstream::Call};

use super::{
    flows::{self, BUNDLE, CALLS, Kind},
    workload::{self, Task, Workload},
};

/// So many workers, each with a generator of its own, seeded from one.
pub(crate) fn workers(
    count: usize,
    workload: &Arc<Workload>,
    nodes: &[Api],
    upstream: &FakeUpstream,
    rng: &mut StdRng,
) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let journal = upstream.journal_path();
    for _ in 0..count {
        let (workload, nodes, journal) = (Arc::clone(workload), nodes.to_vec(), journal.clone());
        let rng = StdRng::seed_from_u64(rng.random());
        workers.spawn(async move { work(&workload, &nodes, &journal, rng).await });
    }
    workers
}

/// One worker's life until the workload is halted. Broken connections are those of a dying server and mean nothing.
async fn work(workload: &Workload, nodes: &[Api], journal: &Path, mut rng: StdRng) {
    while !workload.is_down() {
        let api = &nodes[rng.random_range(0..nodes.len())];
        match workload.next(&mut rng) {
            Task::Start { name, kind } => start(workload, api, name, kind).await,
            Task::Tend(index) => {
                let read = rng.random_bool(0.3);
                let looked = look_after(workload, api, journal, index, read).await;
                if let Err(error) = looked
                    && !is_passing(workload, &error)
                {
                    let text = format!("run {}: {error:#}", workload.run(index).id);
                    workload.lock().violations.push(("I7", text));
                }
                workload.release(index);
            }
            Task::Nothing => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

async fn start(workload: &Workload, api: &Api, name: String, kind: Kind) {
    let started = api
        .start_once(&name, BUNDLE, kind.flow(), flows::input(&name))
        .await;
    match started {
        Ok(id) => workload.started(id, name, kind),
        // It may have been accepted: the same key finds out.
        Err(error) if is_passing(workload, &error) => workload.not_started(name, kind),
        Err(error) => {
            let text = format!("a start was refused: {error:#}");
            workload.lock().violations.push(("I7", text));
        }
    }
}

/// Whether an answer says nothing but "not now": a broken connection, or 503 where that is expected.
fn is_passing(workload: &Workload, error: &anyhow::Error) -> bool {
    let unavailable = workload.is_patient() && Refused::is_unavailable(error);
    if unavailable {
        workload.lock().unavailable += 1;
    }
    unavailable || error.downcast_ref::<reqwest::Error>().is_some()
}

/// Looks after everything that is still open until all of it has ended or the time is up.
pub(crate) async fn until_all_ended(
    workload: &Workload,
    nodes: &[Api],
    upstream: &FakeUpstream,
    limit: Duration,
) {
    let end = Instant::now() + limit;
    let journal = upstream.journal_path();
    let mut turns = nodes.iter().cycle();
    loop {
        let Some(api) = turns.next() else { return };
        while let Some((name, kind)) = workload.unanswered() {
            start(workload, api, name, kind).await;
            if Instant::now() >= end {
                break;
            }
        }
        let open = workload.open();
        if open.is_empty() || Instant::now() >= end {
            break;
        }
        for index in open {
            if let Err(error) = look_after(workload, api, &journal, index, false).await
                && !is_passing(workload, &error)
            {
                let run = workload.run(index).id;
                let mut state = workload.lock();
                state.violations.push(("I7", format!("run {run}: {error:#}")));
                state.give_up(index);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for index in workload.open() {
        let run = workload.run(index);
        let now = nodes[0].run(&run.id).await.unwrap_or_default();
        let text = format!("run {} ({:?}) has not ended: {now}", run.id, run.kind);
        workload.lock().violations.push(("I7", text));
    }
}

async fn look_after(workload: &Workload, api: &Api, journal: &Path, index: usize, read: bool) -> Result<()> {
    let run = workload.run(index);
    let summary = api.run(&run.id).await?;
    let status = summary["status"].as_str().unwrap_or_default();
    if let Some(reason) = run.kind.asks()
        && run.commands.is_empty()
        && summary["waiting"]["reason"] == reason
    {
        let (kind, payload) = flows::ask_command(run.kind, &run.name);
        let command = workload::command(&run.name, kind, payload);
        workload.lock().runs[index].commands.push(command);
    }
    if let Some(id) = parked(api, &summary).await? {
        let n = {
            let mut state = workload.lock();
            state.parked += 1;
            state.parked
        };
        let again = format!("{}-again-{n}", run.name);
        api.command(&again, &id, "resume", json!({})).await?.ok()?;
    }
    send_commands(workload, api, index).await?;
    if read || run.kind == Kind::Model {
        read_ledger(workload, api, journal, index).await?;
    }
    if matches!(status, "completed" | "failed" | "cancelled") {
        workload.lock().saw_end(index, status);
    }
    Ok(())
}

/// The run, or the child that it waits for, if it was parked after three deaths of whoever held it: somebody looks at it
/// and lets it go on (D20).
pub(crate) async fn parked(api: &Api, summary: &Value) -> Result<Option<String>> {
    let is_parked = |run: &Value| {
        let reason = run["pause_reason"].as_str().unwrap_or_default();
        run["paused"] == true && reason.starts_with("parked after")
    };
    let id = |run: &Value| run["run_id"].as_str().map(str::to_owned);
    if is_parked(summary) {
        return Ok(id(summary));
    }
    let child = match summary["waiting"]["details"]["sub_run_id"].as_str() {
        Some(child) => api.run(child).await?,
        None => return Ok(None),
    };
    Ok(is_parked(&child).then(|| id(&child)).flatten())
}

/// Sends what was not answered yet, in order.
async fn send_commands(workload: &Workload, api: &Api, index: usize) -> Result<()> {
    let run = workload.run(index);
    for (n, command) in run.commands.iter().enumerate() {
        if command.acknowledged.is_some() {
            continue;
        }
        let answer = api
            .command(&command.id, &run.id, command.kind, command.payload.clone())
            .await?
            .ok()?;
        let mut state = workload.lock();
        // A first answer that was lost with the process is answered as a duplicate.
        if answer["duplicate"] == true {
            state.resent_commands += 1;
        }
        state.runs[index].commands[n].acknowledged = answer["seq"].as_u64();
    }
    Ok(())
}

async fn read_ledger(workload: &Workload, api: &Api, journal: &Path, index: usize) -> Result<()> {
    let run = workload.run(index);
    let records = api.ledger(&run.id).await?;
    let fresh: Vec<_> = CALLS
        .into_iter()
        .filter(|(_, node)| !run.calls_at_completion.contains_key(node) && completed(&records, node))
        .collect();
    // As text: this happens for every call, and a prompt stands in the line of its request only.
    let calls = if run.kind == Kind::Model && !fresh.is_empty() {
        std::fs::read_to_string(journal)?
    } else {
        String::new()
    };
    let mut state = workload.lock();
    state.saw_records(index, &records);
    for (call, node) in fresh {
        let prompt = flows::prompt(&run.name, call);
        let count = calls.lines().filter(|line| line.contains(&prompt)).count();
        state.runs[index].calls_at_completion.insert(node, count);
    }
    Ok(())
}

pub(super) fn completed(records: &[Value], node: &str) -> bool {
    records
        .iter()
        .any(|record| record["node_id"] == node && record["status"] == "completed")
}

/// How often a prompt reached the model server.
pub(crate) fn count(calls: &[Call], prompt: &str) -> usize {
    calls
        .iter()
        .filter(|call| call.last_user().contains(prompt))
        .count()
}
