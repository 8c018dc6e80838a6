//! Row S2: the moments between subscribing, replaying and going live are stretched while records come fast.

use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    follow::{Reader, Resume},
    points::FAILPOINTS,
    report::Report,
};

use super::{Field, nest, points, rest, seconds};

/// Runs that write at the same time.
const RUNS: usize = 8;
const LIMIT: Duration = Duration::from_secs(40);

/// Readers come and go while runs write.
///
/// # Errors
/// The scenario cannot go on.
pub async fn hand_off(field: &mut Field, readers: usize) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("S2", &["I10"]);
    if !points::present(field, &mut report) {
        report.emit(began.elapsed());
        return Ok(report);
    }
    // Of two nodes, one stretches the moment before the read and the other the moment after it.
    let stretched = ["stream.subscribed=sleep(120)", "stream.replayed=sleep(120)"];
    for (node, rule) in field.cluster.api.iter_mut().zip(stretched.iter().cycle()) {
        node.kill9().await?;
        node.set_env(FAILPOINTS, Some(rule));
        node.start().await?;
    }
    let nodes = field.nodes();
    let mut rng = StdRng::seed_from_u64(field.seed);
    let writing = Instant::now();
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push(
            nodes[n % nodes.len()]
                .start(nest::BUNDLE, "talk", json!({}))
                .await?,
        );
    }
    let mut following = JoinSet::new();
    for n in 0..readers {
        let mut nodes = nodes.clone();
        let first = n % nodes.len();
        nodes.rotate_left(first);
        let run = runs[rng.random_range(0..runs.len())].clone();
        let late = Duration::from_millis(rng.random_range(0..1_500));
        let reader = Reader {
            resume: [Resume::After, Resume::LastEventId, Resume::Both][n % 3],
            burst: [usize::MAX, 7, 23][n % 3],
            patient: false,
            limit: LIMIT,
        };
        following.spawn(async move {
            tokio::time::sleep(late).await;
            (run.clone(), reader.follow(&nodes, &run).await)
        });
    }
    let (mut connections, mut received) = (0, 0);
    while let Some(followed) = following.join_next().await {
        let (run, followed) = followed?;
        match followed {
            Ok(followed) => {
                connections += followed.connections;
                received += followed.records.len();
                if nodes[0].ledger(&run).await? != followed.records {
                    report.violation(
                        "I10",
                        format!("run {run}: what a reader received is not the ledger"),
                    );
                }
            }
            Err(error) => report.violation("I10", format!("{error:#}")),
        }
    }
    let mut written = 0;
    for run in &runs {
        nodes[0].until_status(run, &["completed"], LIMIT).await?;
        written += nodes[0].ledger(run).await?.len();
    }
    report.figure("records", written);
    report.figure(
        "records_per_s",
        (written as f64 / writing.elapsed().as_secs_f64()).round(),
    );
    report.figure("streams", readers);
    report.figure("stream_connections", connections);
    report.figure("streamed_records", received);
    report.figure("streams_s", seconds(writing.elapsed()));
    for node in &mut field.cluster.api {
        node.kill9().await?;
        node.set_env(FAILPOINTS, None);
        node.start().await?;
    }
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    Ok(report)
}
