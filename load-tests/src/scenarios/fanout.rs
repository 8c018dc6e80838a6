//! W5: many streams on one run; from the commit of a record until the last subscriber has it.
//!
//! A client cannot see the commit. The record's own time is taken instead, which the gateway notes just before it
//! commits, so the figure includes the commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    cli::Options,
    client::{Conn, start_body},
    cluster::Shape,
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    sse::Scanner,
    stats,
};

/// Each answer adds three records: `resume`, and the next question's `started` and `waiting`.
const PER_ANSWER: u64 = 3;
/// Answers per round.
const ANSWERS: usize = 30;
/// Descriptors kept for everything else.
const SPARE: usize = 200;

/// What the subscribers share.
#[derive(Default)]
struct Board {
    /// Cursor all wait for.
    goal: AtomicU64,
    arrived: AtomicUsize,
    /// Unix time of the last arrival in microseconds.
    last_us: AtomicU64,
    complete: Notify,
}

pub(super) struct Crowd {
    conn: Conn,
    run: String,
    cursor: u64,
    answers: u64,
    size: usize,
    board: Arc<Board>,
    _readers: JoinSet<Result<()>>,
}

impl Crowd {
    /// Opens the streams, and waits until all have seen the first question.
    pub(super) async fn gather(gateway: &Gateway, size: usize) -> Result<Self> {
        let mut conn = gateway.conn();
        let run = conn.start(&start_body("ask_loop", &json!({}))).await?;
        let board = Arc::new(Board::default());
        board.goal.store(2, SeqCst);
        let mut readers = JoinSet::new();
        // Some at a time, so that no connection waits in a full accept queue.
        for part in 0..size.div_ceil(100) {
            let mut opening = JoinSet::new();
            for _ in 0..(size - part * 100).min(100) {
                let (mut conn, run) = (gateway.conn(), run.clone());
                opening.spawn(async move { anyhow::Ok((conn.stream(&run, 0).await?, conn)) });
            }
            while let Some(opened) = opening.join_next().await {
                let (mut body, conn) = opened??;
                let board = Arc::clone(&board);
                readers.spawn(async move {
                    let _open = conn;
                    let mut scanner = Scanner::default();
                    let mut before = 0;
                    while let Some(frame) = body.frame().await {
                        let Some(cursor) = frame?.data_ref().map(|bytes| scanner.push(bytes).cursor) else {
                            continue;
                        };
                        let goal = board.goal.load(SeqCst);
                        if before < goal && cursor >= goal && board.arrived.fetch_add(1, SeqCst) + 1 == size {
                            board.last_us.store(now_us(), SeqCst);
                            board.complete.notify_one();
                        }
                        before = cursor;
                    }
                    Ok(())
                });
            }
        }
        tokio::time::timeout(Duration::from_secs(60), board.complete.notified())
            .await
            .context("not every stream has seen the first question")?;
        Ok(Self {
            conn,
            run,
            cursor: 2,
            answers: 0,
            size,
            board,
            _readers: readers,
        })
    }

    /// Answers once; milliseconds from the commit until the last subscriber has the record.
    pub(super) async fn answer(&mut self) -> Result<f64> {
        self.board.arrived.store(0, SeqCst);
        self.board.goal.store(self.cursor + PER_ANSWER, SeqCst);
        self.answers += 1;
        let id = format!("fan-{}-{}", self.run, self.answers);
        let payload = json!({"payload": {"response": "yes"}});
        self.conn.command(&id, &self.run, "resume", payload).await?;
        tokio::time::timeout(Duration::from_secs(20), self.board.complete.notified())
            .await
            .with_context(|| format!("{} of {} streams", self.board.arrived.load(SeqCst), self.size))?;
        let path = format!(
            "/api/gateway/runs/{}/ledger?after={}&limit=9",
            self.run, self.cursor
        );
        let page = self.conn.json("GET", &path, None).await?;
        let items = page["items"].as_array().context("a page without items")?;
        ensure!(
            items.len() as u64 == PER_ANSWER,
            "{} records per answer",
            items.len()
        );
        self.cursor += PER_ANSWER;
        let committed = time_us(&items[items.len() - 1])?;
        Ok((self.board.last_us.load(SeqCst).saturating_sub(committed)) as f64 / 1e3)
    }
}

/// When a record was finished.
fn time_us(record: &Value) -> Result<u64> {
    let text = record["ended_at"].as_str().context("a record without a time")?;
    let time: Timestamp = text.parse()?;
    Ok(u64::try_from(time.as_microsecond())?)
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) async fn w5(options: &Options) -> Result<Option<Scenario>> {
    // Streams of a cluster are spread over two nodes.
    let shape = Shape::of(options).at_least(2, 1);
    let gateway = Gateway::shaped(options, shape, &[]).await?;
    let scratch = gateway.home().to_owned();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = usize::try_from(limit.unwrap_or(u64::MAX))
        .unwrap_or(usize::MAX)
        .saturating_sub(SPARE);
    let mut crowds = Vec::new();
    let mut fixed = Values::new();
    for &size in &options.streams {
        let planned: usize = crowds.iter().map(|crowd: &Crowd| crowd.size).sum();
        if planned + size > room {
            crate::report::progress(&format!(
                "w5: {size} streams need more than {limit:?} descriptors"
            ));
            fixed.insert(format!("w5.{size}.p50_ms"), None);
            continue;
        }
        let before = gateway.pss_mib()?;
        let crowd = Crowd::gather(&gateway, size).await?;
        let added = (gateway.pss_mib()? - before) * 1024.0 / size as f64;
        fixed.insert(format!("w5.{size}.kib_per_stream"), Some(added));
        crowds.push(crowd);
    }
    let scenario = repeat("w5", options.rounds, &scratch, &mut crowds, async |crowds| {
        let mut values = fixed.clone();
        for crowd in crowds {
            let cpu = gateway.cpu()?;
            let mut delays = Vec::new();
            for _ in 0..ANSWERS {
                delays.push(crowd.answer().await?);
            }
            delays.sort_by(f64::total_cmp);
            let cpu = ms(gateway.cpu()?.since(&cpu).sum()) / ANSWERS as f64;
            let size = crowd.size;
            values.insert(format!("w5.{size}.p50_ms"), Some(stats::percentile(&delays, 0.5)));
            values.insert(
                format!("w5.{size}.p99_ms"),
                Some(stats::percentile(&delays, 0.99)),
            );
            values.insert(format!("w5.{size}.cpu_ms_per_commit"), Some(cpu));
        }
        Ok(values)
    });
    scenario.await.map(Some)
}
