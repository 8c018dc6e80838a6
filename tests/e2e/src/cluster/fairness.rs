//! Row R13: many runs that could go on at any time, and one runner for all of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    report::{Report, rounded},
    until,
};

use super::{Field, nest, rest, seconds, wakes};

/// For all of them to end: so long, and so much more for each run.
const LIMIT: Duration = Duration::from_secs(60);
const LIMIT_EACH: Duration = Duration::from_millis(200);
/// Reads at a time.
const AT_A_TIME: usize = 16;
/// Between two arrivals.
const ARRIVAL: Duration = Duration::from_millis(60);
/// Bound on the longest time without a step, in turns of everybody.
const TURNS: f64 = 4.0;
/// What a busy machine may add to it.
const PAUSE_S: f64 = 0.75;

/// When a run could go on and when it did, in seconds of its ledger's clock.
#[derive(Debug, Clone, Copy)]
struct Turn {
    due: f64,
    began: f64,
}

/// Runs that one event wakes at the same instant have many short waits each, more than the runner has slots for, and new
/// runs arrive all the time. While all of them have something to do, each gets about as many turns as any other, none
/// waits much longer than a turn of everybody takes, and neither do those that arrive.
///
/// # Errors
/// The scenario cannot go on.
pub async fn starvation(field: &mut Field, runs: usize) -> Result<Report> {
    const HEADS: &str = "SELECT count(*) FROM run_heads";
    const RESTING: &str = "SELECT count(*) FROM run_heads WHERE owner IS NULL AND ready_at IS NULL";
    const ARRIVED: &str = "SELECT extract(epoch FROM created_at)::text || ' ' || extract(epoch FROM updated_at)::text \
         FROM runs WHERE workflow_id LIKE 'nest@%:blink' AND status = 'completed' ORDER BY created_at";
    let began = Instant::now();
    let mut report = field.report("R13", &["I7", "I12"]);
    report.node("runner", 1);
    let (only, others) = field.cluster.runners.split_first_mut().context("a runner")?;
    ensure!(only.is_running(), "the runner is gone");
    for other in others {
        other.terminate().await?;
    }
    let name = format!("r13-{runs}");
    let input = json!({"key": format!("evt:global:global:{name}")});
    let started = wakes::start_many(field, "busy", &input, runs).await?;
    let wanted = i64::try_from(runs)?;
    let limit = LIMIT + LIMIT_EACH * u32::try_from(runs)?;
    until("the runs to wait", LIMIT, || async {
        Ok(field.cluster.number(RESTING).await? == wanted)
    })
    .await?;
    let nodes = field.nodes();
    let event = json!({"name": name, "scope": "global", "payload": {}});
    nodes[0]
        .command(&name, &started[0], "emit_event", event)
        .await?
        .ok()?;
    report.fault();
    let load = Instant::now();
    // New ones arrive until the first ones have ended, and a little longer.
    let mut arrivals = 0;
    while field.cluster.number(HEADS).await? >= wanted && load.elapsed() < limit {
        nodes[arrivals % nodes.len()]
            .start(nest::BUNDLE, "blink", json!({}))
            .await?;
        arrivals += 1;
        tokio::time::sleep(ARRIVAL).await;
    }
    until("the end of all runs", limit, || async {
        Ok(field.cluster.number(HEADS).await? == 0)
    })
    .await?;
    report.figure("all_done_s", seconds(load.elapsed()));

    let read = stream::iter(started.iter().enumerate()).map(|(n, run)| nodes[n % nodes.len()].ledger(run));
    let ledgers: Vec<Result<Vec<Value>>> = read.buffered(AT_A_TIME).collect().await;
    let mut turns = Vec::with_capacity(runs);
    for ledger in ledgers {
        turns.push(turns_of(&ledger?)?);
    }
    // The window in which everybody has something to do.
    let start = first(turns.iter().filter_map(|own| own.first().map(|turn| turn.due)));
    let end = first(turns.iter().filter_map(|own| own.last().map(|turn| turn.began)));
    let window = end - start;
    let counts: Vec<f64> = turns
        .iter()
        .map(|own| own.iter().filter(|turn| turn.began <= end).count() as f64)
        .collect();
    let mean = counts.iter().sum::<f64>() / runs as f64;
    ensure!(
        window > 0.0 && mean > 1.0,
        "nothing was shared: {window} s, {mean} turns each"
    );
    let fair = window / mean;
    let longest = turns
        .iter()
        .flatten()
        .map(|turn| turn.began - turn.due)
        .fold(0.0, f64::max);
    report.load("runs", runs);
    report.load("turns_per_s", (counts.iter().sum::<f64>() / window).round());
    report.figure("turns_each_mean", rounded(mean));
    report.figure("turn_of_everybody_s", rounded(fair));
    report.bar(
        "longest_wait_s",
        rounded(longest),
        rounded(TURNS * fair + PAUSE_S),
    );
    report.bar("unfairness", rounded(1.0 - jain(&counts)), 0.1);

    let mut waits = Vec::new();
    for row in field.cluster.texts(ARRIVED).await? {
        let (created, ended) = row.split_once(' ').context("two columns")?;
        waits.push(ended.parse::<f64>()? - created.parse::<f64>()?);
    }
    ensure!(
        waits.len() >= arrivals && arrivals > 1,
        "{} of {arrivals} arrivals",
        waits.len()
    );
    waits.sort_by(f64::total_cmp);
    report.figure("arrivals", arrivals);
    report.figure("arrival_done_s_p50", rounded(waits[waits.len() / 2]));
    report.bar(
        "arrival_done_s_max",
        rounded(waits[waits.len() - 1]),
        rounded(TURNS * fair + PAUSE_S),
    );
    for other in &mut field.cluster.runners[1..] {
        other.start().await?;
    }
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}

/// The turns of a run: what follows each of its timed waits.
fn turns_of(records: &[Value]) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for pair in records.windows(2) {
        let Some(due) = pair[0]["result"]["wait"]["until"].as_str() else {
            continue;
        };
        let next = pair[1]["started_at"]
            .as_str()
            .context("a record without a time")?;
        turns.push(Turn {
            due: epoch(due)?,
            began: epoch(next)?,
        });
    }
    ensure!(
        !turns.is_empty(),
        "a run without turns: {} records",
        records.len()
    );
    Ok(turns)
}

fn epoch(time: &str) -> Result<f64> {
    let at: jiff::Timestamp = time.parse().with_context(|| format!("a time: {time}"))?;
    Ok(at.as_microsecond() as f64 / 1e6)
}

fn first(times: impl Iterator<Item = f64>) -> f64 {
    times.fold(f64::INFINITY, f64::min)
}

/// Jain's index: 1 where all have the same, 1/n where one has everything.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_compared() {
        for (shares, index) in [
            (&[3.0, 3.0, 3.0][..], 1.0),
            (&[4.0, 0.0], 0.5),
            (&[1.0, 2.0, 3.0], 36.0 / 42.0),
        ] {
            assert!((jain(shares) - index).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn turns_follow_timed_waits() {
        let wait = json!({"result": {"wait": {"until": "2026-01-01T00:00:01.500000+00:00"}}});
        let next = json!({"started_at": "2026-01-01T00:00:02+00:00"});
        let turns = turns_of(&[json!({}), wait.clone(), next.clone(), wait, next]).expect("turns");
        assert_eq!(turns.len(), 2);
        assert!((turns[0].began - turns[0].due - 0.5).abs() < 1e-6);
        assert!(turns_of(&[json!({})]).is_err());
    }
}
