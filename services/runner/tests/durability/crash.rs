//! The process dies at its n-th write, for every n: nothing acknowledged is lost, nothing is done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ag_store::{CommandStore as _, RunFilter, RunReads as _};
use ag_store_sqlite::SqliteStore;
use ag_types::{RunId, TenantScope};
use serde_json::Value;

use super::{
    Place, process,
    script::{Client, Journal, flows},
};
use crate::support::{Embedded, Setup, faults::Faults, model::Model, output, row_text};

/// Threads that try crash points; waiting dominates.
const WORKERS: usize = 4;
/// More writes than the script can make.
const MAX_WRITES: usize = 400;

/// Ledger lines of every run.
type Ledgers = BTreeMap<RunId, Vec<String>>;

#[test]
fn a_crash_before_any_write_loses_and_repeats_nothing() {
    sweep(false);
}

#[test]
fn a_crash_after_any_write_loses_and_repeats_nothing() {
    sweep(true);
}

fn sweep(applied: bool) {
    let template = Place::new();
    process().block_on(async {
        let gateway = template.gateway(Setup::default()).await;
        gateway.install(&flows()).await;
        gateway.stop().await;
    });
    let reference = attempt(&template, 0, applied).expect("no crash was planned");
    let (next, points) = (AtomicUsize::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let write = next.fetch_add(1, Ordering::SeqCst);
                    assert!(write < MAX_WRITES, "the script never got by without a crash");
                    match attempt(&template, write, applied) {
                        Some(end) => {
                            points.fetch_add(1, Ordering::SeqCst);
                            assert_eq!(end, reference, "write {write}, applied {applied}");
                        }
                        // The script ended before its n-th write.
                        None => {
                            next.store(MAX_WRITES / 2, Ordering::SeqCst);
                            return;
                        }
                    }
                    if next.load(Ordering::SeqCst) >= MAX_WRITES / 2 {
                        return;
                    }
                }
            });
        }
    });
    let points = points.load(Ordering::SeqCst);
    assert!(points > 30, "only {points} crash points were reached");
}

/// Runs the script with a crash at a write, then to its end. `None` when that write was never made; with `write` 0
/// nothing crashes and the end of the first process counts.
fn attempt(template: &Place, write: usize, applied: bool) -> Option<BTreeMap<String, End>> {
    let place = Place {
        dir: tempfile::tempdir().expect("scratch"),
        blobs: template.blobs.clone(),
        model: Arc::default(),
    };
    copy(template.dir.path(), place.dir.path());
    let mut journal = Journal::default();
    let faults = Arc::new(Faults::kill_at(write, applied));
    let first = process();
    let done = first.block_on(async {
        let setup = Setup {
            faults: Some(faults.clone()),
            ..place.setup()
        };
        let Ok(gateway) = Embedded::over(place.store().await, place.blobs.clone(), setup).await else {
            return None;
        };
        let mut client = Client {
            gateway: &gateway,
            faults: &faults,
            journal: &mut journal,
        };
        match client.work().await {
            Ok(()) => Some(ends(gateway.sqlite(), &journal).await),
            Err(_) => None,
        }
    });
    // Everything of the process vanishes in the middle of what it does.
    drop(first);
    match done {
        Some(end) if write == 0 => return Some(end),
        // The crash, if it came at all, hit the background after the last answer.
        Some(_) => return None,
        None => {}
    }
    place.model.generation.store(2, Ordering::SeqCst);
    let second = process();
    let end = second.block_on(recover(&place, &mut journal));
    drop(second);
    check_calls(&place.model);
    Some(end)
}

/// Opens what the dead process left, checks it, and lets the client finish.
async fn recover(place: &Place, journal: &mut Journal) -> BTreeMap<String, End> {
    let store = place.store().await;
    for (name, run) in &journal.runs {
        let row = store.run(&TenantScope::root(), *run).await.expect("read");
        assert!(row.is_some(), "the acknowledged start of '{name}' is lost");
    }
    for command in &journal.commands {
        let row = store.command(&TenantScope::root(), command).await.expect("read");
        assert!(row.is_some(), "the acknowledged command '{command}' is lost");
    }
    let before = ledgers(&store).await;
    let ended = ended_calls(&before);
    let nobody = Faults::default();
    let gateway = Embedded::over(store, place.blobs.clone(), place.setup())
        .await
        .expect("open session");
    Client {
        gateway: &gateway,
        faults: &nobody,
        journal,
    }
    .work()
    .await
    .expect("nobody dies twice");

    let after = ledgers(gateway.sqlite()).await;
    for (run, lines) in &before {
        assert!(after[run].starts_with(lines), "the ledger of {run} was rewritten");
    }
    for call in place.model.calls().iter().filter(|call| call.generation == 2) {
        assert!(
            !ended.contains(&call.key),
            "{} was called again after its end was committed",
            call.key
        );
    }
    for command in &journal.commands {
        let row = gateway.settled(command).await;
        assert_eq!(row.outcome, None, "'{command}' was refused");
    }
    let ends = ends(gateway.sqlite(), journal).await;
    gateway.stop().await;
    ends
}

/// Each outside call is made at most twice, the second time as the second attempt.
fn check_calls(model: &Model) {
    let mut attempts: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for call in model.calls() {
        attempts.entry(call.key).or_default().push(call.attempt);
    }
    assert_eq!(attempts.len(), 3, "three calls, three keys");
    for (key, attempts) in attempts {
        assert!(
            matches!(attempts.as_slice(), [1] | [2] | [1, 2]),
            "{key}: {attempts:?}"
        );
    }
}

/// What must be the same with and without a crash.
#[derive(Debug, PartialEq)]
struct End {
    status: String,
    error: Option<String>,
    output: Value,
    /// Rows without attempts that a crash cut off.
    rows: Vec<String>,
    children: usize,
}

/// Ends of all runs by name; children are named after their parents.
async fn ends(store: &SqliteStore, journal: &Journal) -> BTreeMap<String, End> {
    let scope = TenantScope::root();
    let mut out = BTreeMap::new();
    let mut open: Vec<(String, RunId)> = journal
        .runs
        .iter()
        .map(|(name, run)| ((*name).to_owned(), *run))
        .collect();
    while let Some((name, run)) = open.pop() {
        let row = store.run(&scope, run).await.expect("read").expect("exists");
        let children = store.children(&scope, run).await.expect("children");
        for (i, child) in children.iter().enumerate() {
            assert_eq!(child.head.parent_run_id, Some(run));
            open.push((format!("{name}/{i}"), child.head.run_id));
        }
        let lines = lines(store, run, row.last_seq).await;
        let completed = lines
            .iter()
            .filter(|line| line.contains(r#""status":"completed""#))
            .count();
        assert_eq!(
            row.columns.counters.steps as usize, completed,
            "counted with the records"
        );
        let end = End {
            status: row.columns.status.as_str().to_owned(),
            error: row.columns.error.clone(),
            output: output(&row),
            rows: without_cut_attempts(&lines),
            children: children.len(),
        };
        out.insert(name, end);
    }
    let all = store.runs(&scope, everything()).await.expect("runs");
    assert_eq!(all.len(), out.len(), "runs that nobody asked for");
    assert!(
        all.iter().all(|run| run.status.is_terminal()),
        "something is still alive"
    );
    out
}

fn everything() -> RunFilter {
    RunFilter {
        include_drafts: true,
        limit: 1_000,
        ..RunFilter::default()
    }
}

async fn ledgers(store: &SqliteStore) -> Ledgers {
    let mut out = BTreeMap::new();
    for row in store
        .runs(&TenantScope::root(), everything())
        .await
        .expect("runs")
    {
        let run = row.head.run_id;
        out.insert(run, lines(store, run, row.last_seq).await);
    }
    out
}

/// Lines of a ledger, which must be dense and end where the run says.
async fn lines(store: &SqliteStore, run: RunId, last_seq: i64) -> Vec<String> {
    let page = store
        .ledger(&TenantScope::root(), run, 0, 10_000)
        .await
        .expect("ledger")
        .expect("exists");
    let (seqs, lines): (Vec<i64>, Vec<String>) =
        page.records().map(|(seq, line)| (seq, line.to_owned())).unzip();
    assert_eq!(
        seqs,
        (1..=last_seq).collect::<Vec<_>>(),
        "the ledger of {run} is dense"
    );
    lines
}

/// Outbound keys of calls whose end is committed. Each node of the script's flows is visited once.
fn ended_calls(ledgers: &Ledgers) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for line in ledgers.values().flatten() {
        let record: Value = serde_json::from_str(line).expect("record");
        let text = |pointer: &str| {
            record
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("/effect/type") == "llm_call" && text("/status") == "completed" {
            out.insert(format!("{}/{}/1", text("/run_id"), text("/node_id")));
        }
    }
    out
}

/// Rows without `started` ones that have no end and are followed by another attempt.
fn without_cut_attempts(lines: &[String]) -> Vec<String> {
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("record"))
        .collect();
    let cut = |at: usize| {
        let row = &rows[at];
        let same_step = |later: &&Value| later["step_id"] == row["step_id"];
        let same_key = |later: &&Value| later["idempotency_key"] == row["idempotency_key"];
        row["status"] == "started"
            && rows[at + 1..].iter().find(same_step).is_none()
            && rows[at + 1..]
                .iter()
                .find(same_key)
                .is_some_and(|later| later["attempt"] == 2)
    };
    lines
        .iter()
        .enumerate()
        .filter(|(at, _)| !cut(*at))
        .map(|(_, line)| row_text(line))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("template") {
        let entry = entry.expect("entry");
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".sqlite3") {
            std::fs::copy(entry.path(), to.join(name)).expect("copy");
        }
    }
}
