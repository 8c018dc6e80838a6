//! The clients: each looks after runs until the process is gone or everything has ended.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

use crate::{Api, FakeUpstream, upstream::Call};

use super::{
    flows::{self, BUNDLE, CALLS, Kind},
    workload::{self, Task, Workload},
};

/// One worker's life between two crashes. Broken connections are those of a dying server and mean nothing.
pub(super) async fn work(workload: &Workload, api: &Api, journal: &Path, mut rng: StdRng) {
    while !workload.is_down() {
        match workload.next(&mut rng) {
            Task::Start { name, kind } => match api.start(BUNDLE, kind.flow(), flows::input(&name)).await {
                Ok(id) => workload.started(id, name, kind),
                Err(error) => unanswered(workload, &error),
            },
            Task::Tend(index) => {
                let read = rng.random_bool(0.3);
                let looked = look_after(workload, api, journal, index, read).await;
                if let Err(error) = looked
                    && error.downcast_ref::<reqwest::Error>().is_none()
                {
                    let text = format!("run {}: {error:#}", workload.run(index).id);
                    workload.lock().violations.push(("I7", text));
                }
                workload.release(index);
            }
            Task::Nothing => tokio::task::yield_now().await,
        }
    }
}

/// A start that got no answer is nobody's run; a start that was refused is a finding.
fn unanswered(workload: &Workload, error: &anyhow::Error) {
    let mut state = workload.lock();
    if error.downcast_ref::<reqwest::Error>().is_some() {
        state.unanswered_starts += 1;
    } else {
        state
            .violations
            .push(("I7", format!("a start was refused: {error:#}")));
    }
}

/// Looks after everything that is still open until all of it has ended or the time is up.
pub(super) async fn until_all_ended(
    workload: &Workload,
    api: &Api,
    upstream: &FakeUpstream,
    limit: Duration,
) {
    let end = Instant::now() + limit;
    let journal = upstream.journal_path();
    loop {
        let open = workload.open();
        if open.is_empty() || Instant::now() >= end {
            break;
        }
        for index in open {
            if let Err(error) = look_after(workload, api, &journal, index, false).await {
                let run = workload.run(index).id;
                workload
                    .lock()
                    .violations
                    .push(("I7", format!("run {run}: {error:#}")));
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for index in workload.open() {
        let run = workload.run(index);
        let now = api.run(&run.id).await.unwrap_or_default();
        let text = format!("run {} ({:?}) has not ended: {now}", run.id, run.kind);
        workload.lock().violations.push(("I7", text));
    }
}

async fn look_after(workload: &Workload, api: &Api, journal: &Path, index: usize, read: bool) -> Result<()> {
    let run = workload.run(index);
    let summary = api.run(&run.id).await?;
    let status = summary["status"].as_str().unwrap_or_default();
    if run.kind.asks() && run.commands.is_empty() && summary["waiting"]["reason"] == "user" {
        let (kind, payload) = flows::ask_command(run.kind);
        let command = workload::command(&run.name, kind, payload);
        workload.lock().runs[index].commands.push(command);
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
pub(super) fn count(calls: &[Call], prompt: &str) -> usize {
    calls
        .iter()
        .filter(|call| call.last_user().contains(prompt))
        .count()
}
