//! Row P4: somebody looks at the database as it was, and nothing that was changed since can be cleaned up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Api,
    report::{Report, rounded},
};

use super::{Field, field::metrics, nest, rest, seconds};

const LIMIT: Duration = Duration::from_secs(20);
/// Clients that start a run, wait for its end and start the next one.
const CLIENTS: usize = 6;
/// What those tables hold for nobody.
const DEAD: &str = "SELECT relname || ' ' || n_dead_tup FROM pg_stat_user_tables \
     WHERE relname IN ('run_heads', 'mail', 'runner_sessions') ORDER BY relname";
const CLAIMS: &str = "gateway_store_operation_seconds_bucket{operation=\"claim\",le=\"";

/// The same load twice, without and with a transaction that was opened before it: how much less is done, and what the
/// narrow tables look like afterwards.
///
/// # Errors
/// The scenario cannot go on.
pub async fn held_snapshot(field: &mut Field, each: Duration) -> Result<Report> {
    let began = Instant::now();
    let mut report = field.report("P4", &["I7", "I13"]);
    // The first load warms everything up.
    load(field, each / 4).await?;
    let free = measured(field, each).await?;
    let snapshot = field.cluster.hold_snapshot().await?;
    report.fault();
    let held = measured(field, each).await?;
    // Statistics of what was done reach the tables a second later.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let dead = dead(field).await?;
    snapshot
        .release()
        .await
        .context("the snapshot was not held all the time")?;
    report.load("clients", CLIENTS);
    report.figure("seconds_each", seconds(each));
    report.figure("runs_per_s_free", free.runs_per_s.round());
    report.figure("runs_per_s_held", held.runs_per_s.round());
    ensure!(free.runs_per_s > 1.0, "no load");
    let drop = 1.0 - held.runs_per_s / free.runs_per_s;
    // A fifth where nobody else wants the machine.
    let bar = if cfg!(debug_assertions) { 0.6 } else { 0.2 };
    report.bar("throughput_drop", rounded(drop), bar);
    report.figure("claim_s_p99_free", free.claim_s);
    report.bar("claim_s_p99_held", held.claim_s, 1.0);
    for (table, count) in &dead {
        report.figure(&format!("dead_tuples_{table}"), *count);
    }
    // Else nothing was held up, and the row says nothing.
    ensure!(
        dead.get("run_heads").is_some_and(|count| *count > 0),
        "no dead tuples: {dead:?}"
    );
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

struct Measured {
    runs_per_s: f64,
    /// A bound of the bucket that holds the 99th percentile, in seconds.
    claim_s: f64,
}

async fn measured(field: &Field, time: Duration) -> Result<Measured> {
    let before = claims(field).await?;
    let began = Instant::now();
    let done = load(field, time).await?;
    let runs_per_s = done as f64 / began.elapsed().as_secs_f64();
    let mut new = claims(field).await?;
    for (bound, count) in &mut new {
        *count -= before.get(bound).copied().unwrap_or(0.0);
    }
    Ok(Measured {
        runs_per_s,
        claim_s: percentile(&new, 0.99)?,
    })
}

/// Starts runs one after the other on all nodes; how many have ended in the time.
async fn load(field: &Field, time: Duration) -> Result<usize> {
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let nodes = field.nodes();
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (api, over, done) = (nodes[n % nodes.len()].clone(), over.clone(), done.clone());
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                one_run(&api).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(time).await;
    let count = done.load(Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(count)
}

/// A run that is claimed, asks, is answered and claimed again: heads, mail and sessions are written.
async fn one_run(api: &Api) -> Result<()> {
    let run = api.start(nest::BUNDLE, "ask", json!({})).await?;
    api.until_status(&run, &["waiting"], LIMIT).await?;
    let payload = json!({"payload": {"response": "yes"}});
    api.command(&format!("answer-{run}"), &run, "resume", payload)
        .await?
        .ok()?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    Ok(())
}

/// Claims so far by the bounds of their buckets, in microseconds.
async fn claims(field: &Field) -> Result<BTreeMap<u64, f64>> {
    let mut all = BTreeMap::new();
    for runner in &field.cluster.runners {
        for (name, count) in metrics(runner).await? {
            let bound = name
                .strip_prefix(CLAIMS)
                .and_then(|rest| rest.strip_suffix("\"}"));
            let Some(bound) = bound else { continue };
            let micros = match bound {
                "+Inf" => u64::MAX,
                seconds => (seconds.parse::<f64>()? * 1e6).round() as u64,
            };
            *all.entry(micros).or_default() += count;
        }
    }
    Ok(all)
}

/// The bound, in seconds, below which this share lies; counts are cumulative.
fn percentile(buckets: &BTreeMap<u64, f64>, share: f64) -> Result<f64> {
    let total = buckets.last_key_value().map_or(0.0, |(_, count)| *count);
    ensure!(total > 0.0, "nothing was claimed");
    let bound = buckets.iter().find(|(_, count)| **count >= share * total);
    let (&micros, _) = bound.context("counts that fall")?;
    Ok(micros as f64 / 1e6)
}

async fn dead(field: &Field) -> Result<BTreeMap<String, i64>> {
    let rows = field.cluster.texts(DEAD).await?;
    let split = |row: &String| {
        let (table, count) = row.split_once(' ')?;
        Some((table.to_owned(), count.parse().ok()?))
    };
    rows.iter()
        .map(|row| split(row).with_context(|| format!("not a count: {row}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_bound_of_its_bucket() {
        let buckets = BTreeMap::from([(1_000, 90.0), (5_000, 98.0), (10_000, 99.5), (u64::MAX, 100.0)]);
        assert!((percentile(&buckets, 0.5).expect("half") - 0.001).abs() < 1e-9);
        assert!((percentile(&buckets, 0.99).expect("p99") - 0.01).abs() < 1e-9);
        assert!(percentile(&BTreeMap::new(), 0.99).is_err());
    }
}
