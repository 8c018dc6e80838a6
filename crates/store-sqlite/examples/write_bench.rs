//! Starts and commits per second with 64 concurrent callers, as one JSON line.
//!
//! `cargo run --release -p ag-store-sqlite --example write_bench [directory] [full|normal] [seconds]`

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ag_store::{
    Commit, CommitOutcome, Counters, NewRun, NewSession, Placement, Rest, RunColumns, RunStore as _, Segment,
    Start,
};
use ag_store_sqlite::{SqliteOptions, SqliteStore};
use ag_types::{
    Clock as _, IdGen as _, RunHead, RunId, RunKey, RunStatus, SessionId, SystemClock, SystemIds,
    SystemScope, TenantScope,
};

const CALLERS: usize = 64;
const SYSTEM: SystemScope = SystemScope::new("benchmark");

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let scratch = tempfile::tempdir()?;
    let path = args
        .next()
        .map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let mut options = SqliteOptions::new(path);
    options.synchronous = args.next().as_deref().unwrap_or("full").parse()?;
    let seconds: u64 = args.next().as_deref().unwrap_or("4").parse()?;
    let store = SqliteStore::open(options).await?;
    let span = Duration::from_secs(seconds);

    let one = Counted::run(&store, 1, span, |store, _| {
        Box::pin(async move { start_ended(&store).await })
    })
    .await;
    let starts = Counted::run(&store, CALLERS, span, |store, _| {
        Box::pin(async move { start_ended(&store).await })
    })
    .await;
    let session = SystemIds.session_id();
    store
        .open_session(
            &SYSTEM,
            NewSession {
                id: session,
                pool: "default".into(),
                node: "bench".into(),
            },
        )
        .await?;
    let commits = Counted::run(&store, CALLERS, span, move |store, stop| {
        Box::pin(commits(store, session, stop))
    })
    .await;
    store.close().await?;
    let line = format!(
        "{{\"start_c1_per_s\":{:.0},\"start_c1_cpu_us\":{:.0},\"starts_per_s\":{:.0},\"start_cpu_us\":{:.0},\"commits_per_s\":{:.0},\"commit_cpu_us\":{:.0}}}",
        one.rate, one.cpu_us, starts.rate, starts.cpu_us, commits.rate, commits.cpu_us
    );
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

struct Counted {
    rate: f64,
    cpu_us: f64,
}

type Work = std::pin::Pin<Box<dyn Future<Output = u64> + Send>>;

impl Counted {
    async fn run(
        store: &Arc<SqliteStore>,
        callers: usize,
        span: Duration,
        work: impl Fn(Arc<SqliteStore>, Arc<AtomicBool>) -> Work + Clone + Send + 'static,
    ) -> Self {
        let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (before, begun) = (cpu_seconds(), Instant::now());
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (store, stop, total, work) = (store.clone(), stop.clone(), total.clone(), work.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        total.fetch_add(work(store.clone(), stop.clone()).await, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        tokio::time::sleep(span).await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            let _ = task.await;
        }
        let count = total.load(Ordering::Relaxed) as f64;
        Self {
            rate: count / begun.elapsed().as_secs_f64(),
            cpu_us: (cpu_seconds() - before) * 1e6 / count.max(1.0),
        }
    }
}

/// User and system time of this process; Linux counts hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn columns(status: RunStatus, vars: usize) -> RunColumns {
    RunColumns {
        status,
        current_node: "node-3".to_owned(),
        wait_reason: None,
        wait_key: None,
        wait_until: None,
        paused: false,
        error: None,
        wait: None,
        vars: format!("{{\"x\":\"{}\"}}", "v".repeat(vars)).into(),
        meta: "{}".into(),
        output: Some("{\"success\":true}".into()),
        lifecycle: None,
        counters: Counters {
            steps: 4,
            ..Counters::default()
        },
        updated_at: SystemClock.now(),
    }
}

fn segment(first_seq: i64, records: i64) -> Segment {
    let line = format!("{{\"record\":\"{}\"}}", "r".repeat(480));
    let lines = vec![line; records as usize].join("\n");
    Segment {
        first_seq,
        last_seq: first_seq + records - 1,
        lines: lines.into(),
    }
}

fn new_run(id: RunId, placement: Placement, columns: RunColumns, records: i64) -> NewRun {
    let head = RunHead {
        run_id: id,
        workflow_id: "bench@1:main".into(),
        actor_id: Some("gateway".into()),
        session_id: Some("session".into()),
        parent_run_id: None,
        created_at: SystemClock.now(),
    };
    let segments = if records > 0 {
        vec![segment(1, records)]
    } else {
        Vec::new()
    };
    NewRun {
        head,
        pool: "default".into(),
        bundle_sha256: None,
        columns,
        segments,
        last_seq: records,
        placement,
    }
}

async fn start(store: &SqliteStore, run: NewRun) {
    let now = SystemClock.now();
    let start = Start {
        key: None,
        generation: Some(0),
        runs: vec![run],
        artifacts: Vec::new(),
        owners: Vec::new(),
        memory: Vec::new(),
        mail: Vec::new(),
        now,
    };
    store.start(&TenantScope::root(), start).await.expect("start");
}

/// The W1 run: 8 records, 1.2 KB of state, ended in its first tick.
async fn start_ended(store: &SqliteStore) -> u64 {
    let columns = columns(RunStatus::Completed, 1_200);
    start(
        store,
        new_run(SystemIds.run_id(), Placement::Terminal, columns, 8),
    )
    .await;
    1
}

/// A held run that commits 1 KB of state and one record again and again.
async fn commits(store: Arc<SqliteStore>, session: SessionId, stop: Arc<AtomicBool>) -> u64 {
    let scope = TenantScope::root();
    let id = SystemIds.run_id();
    let placement = Placement::Held { session, epoch: 1 };
    start(
        &store,
        new_run(id, placement, columns(RunStatus::Running, 1_000), 0),
    )
    .await;
    let mut rev = 0;
    while !stop.load(Ordering::Relaxed) {
        let commit = Commit {
            session,
            key: RunKey {
                run: id,
                plane: scope.plane,
            },
            epoch: 1,
            rev,
            rest: Rest::Keep,
            seen: 0,
            progress: true,
            pool: None,
            columns: columns(RunStatus::Running, 1_000),
            segments: vec![segment(i64::from(rev) + 1, 1)],
            last_seq: i64::from(rev) + 1,
            children: Vec::new(),
            mail: Vec::new(),
            outcomes: Vec::new(),
            artifacts: Vec::new(),
            owners: Vec::new(),
            memory: Vec::new(),
        };
        let outcome = store.commit(&SYSTEM, commit).await.expect("commit");
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        rev += 1;
    }
    u64::try_from(rev).unwrap_or(0)
}
