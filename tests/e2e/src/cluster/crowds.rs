//! Row S4: very many streams on two nodes, most of them with nothing to say.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    delivery, process,
    report::{Report, rounded},
    until,
};

use super::{Field, rest, seconds, wakes};

const LIMIT: Duration = Duration::from_secs(60);
/// Streams that are opened at a time.
const AT_A_TIME: usize = 32;
/// Runs that are followed and say nothing.
const SILENT: usize = 10;
/// Runs that are followed and written.
const WRITTEN: usize = 4;
/// How long the processors are watched while nothing happens: the more streams, the longer.
const IDLE: Duration = Duration::from_secs(2);
const IDLE_LONG: Duration = Duration::from_secs(20);
/// Streams from which on it is a measurement.
const MANY: usize = 2_000;

/// Opens so many idle streams, then so many of runs that are being written; what a stream costs, and how fast records
/// arrive. In the end every stream gets its end.
///
/// # Errors
/// The scenario cannot go on.
pub async fn crowd(field: &mut Field, idle: usize, active: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("S4", &["I10", "I13"]);
    let nodes = field.nodes();
    let pids: Vec<u32> = field.cluster.api.iter().filter_map(|node| node.pid()).collect();
    ensure!(pids.len() == nodes.len(), "a node is gone");
    let silent = wakes::start_many(field, "ask", &json!({}), SILENT).await?;
    for run in &silent {
        until("the question", LIMIT, || async {
            Ok(nodes[0].run(run).await?["waiting"]["reason"] == "user")
        })
        .await?;
    }
    let resident = || {
        pids.iter()
            .map(|pid| process::resident(*pid))
            .sum::<Result<u64>>()
    };
    let used = || {
        pids.iter()
            .map(|pid| process::used(*pid))
            .sum::<Result<Duration>>()
    };
    // The first streams of a process pay for what all of them share.
    for api in &nodes {
        drop(api.stream(&silent[0], 0, None).await?);
    }
    let before = resident()?;
    let opening = Instant::now();
    // Which run the nth stream follows; neighbours are on different nodes.
    let followed = |n: usize| n / nodes.len() % SILENT;
    let opened = stream::iter(0..idle)
        // Keep-alive comments as often as real clients get them.
        .map(|n| nodes[n % nodes.len()].stream_with(&silent[followed(n)], "after=0", None))
        .buffered(AT_A_TIME);
    let streams: Vec<_> = opened.collect().await;
    let streams = streams.into_iter().collect::<Result<Vec<_>>>()?;
    let connect_s = opening.elapsed().as_secs_f64();
    until("all streams to be open", LIMIT, || async {
        Ok(field.of_api("gateway_streams_open").await? >= idle as f64)
    })
    .await?;
    let after = resident()?;
    report.load("idle", idle);
    report.load("active", active);
    report.figure("opened_per_s", (idle as f64 / connect_s).round());
    let each = after.saturating_sub(before) as f64 / idle as f64 / 1_024.0;
    let bar = if cfg!(debug_assertions) { 200.0 } else { 20.0 };
    report.bar("resident_kib_per_stream", each.round(), bar);
    let (then, watched) = (used()?, Instant::now());
    tokio::time::sleep(if idle < MANY { IDLE } else { IDLE_LONG }).await;
    let share = (used()? - then).as_secs_f64() / watched.elapsed().as_secs_f64();
    let bar = if cfg!(debug_assertions) { 0.5 } else { 0.05 };
    report.bar("idle_cores", rounded(share), bar);

    let written = wakes::start_many(field, "talk", &json!({}), WRITTEN).await?;
    match delivery::follow(&nodes, &written, active, LIMIT).await {
        Ok(delivered) => {
            ensure!(
                delivered.count() > active,
                "nothing was written while somebody followed"
            );
            report.figure("delivered_records", delivered.count());
            report.figure("reopened", delivered.reopened);
            report.figure("delivery_s_p50", delivered.percentile(0.5));
            if idle < MANY {
                report.bar("delivery_s_p99", delivered.percentile(0.99), 2.5);
            } else {
                // Readers share the processors with what they measure.
                report.figure("delivery_s_p99", delivered.percentile(0.99));
            }
        }
        Err(error) => report.violation("I10", format!("{error:#}")),
    }
    // Whoever was idle for long is not forgotten.
    let ending = Instant::now();
    for run in &silent {
        let payload = json!({"payload": {"response": "done"}});
        nodes[0]
            .command(&format!("s4-{run}"), run, "resume", payload)
            .await?
            .ok()?;
    }
    let mut ends = Vec::new();
    for run in &silent {
        nodes[0].until_status(run, &["completed"], LIMIT).await?;
        ends.push(nodes[0].ledger(run).await?.len() as u64);
    }
    let ended = stream::iter(streams.into_iter().enumerate())
        .map(async |(n, stream)| (n, delivery::end_of(stream, LIMIT).await))
        .buffer_unordered(AT_A_TIME);
    let ended: Vec<_> = ended.collect().await;
    for (n, end) in ended {
        let wanted = ends.get(followed(n)).context("a run")?;
        match end {
            Ok(cursor) if cursor == *wanted => {}
            Ok(cursor) => report.violation("I10", format!("stream {n} ended at {cursor}, not {wanted}")),
            Err(error) => report.violation("I10", format!("stream {n}: {error:#}")),
        }
    }
    report.figure("all_ended_s", seconds(ending.elapsed()));
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}
