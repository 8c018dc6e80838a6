//! Row R11: a cancel of a tree that is still growing.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::{Bundle, Flow, report::Report, until};

use super::{Field, rest, seconds};

const BUNDLE: &str = "broad";
/// Descendants that an event wakes when the cancel comes: each starts a child of its own.
const WOKEN: usize = 20;
const LIMIT: Duration = Duration::from_secs(20);

/// A root with listeners: children that wait for events.
fn bundle(resting: usize) -> Bundle {
    let mut broad = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}));
    for n in 0..resting {
        let woken = n < WOKEN;
        let name = if woken {
            "grow".to_owned()
        } else {
            format!("never-{n}")
        };
        let (listener, sub) = (format!("on{n}"), format!("sub{n}"));
        broad = broad
            .node(&listener, "on_event", json!({"eventConfig": {"name": name}}))
            .node(&sub, "subflow", json!({"subflowId": "leaf"}))
            .then(&listener, &sub);
    }
    let leaf = Flow::new("leaf", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}));
    Bundle::new(BUNDLE, [broad, leaf])
}

/// Cancels trees while they grow: nothing lives afterwards. So many descendants rest before the cancel.
///
/// # Errors
/// The scenario cannot go on.
pub async fn growing_trees(field: &mut Field, rounds: usize, resting: usize) -> Result<Report> {
    const HEADS: &str = "SELECT count(*) FROM run_heads";
    const RESTING_HEADS: &str = "SELECT count(*) FROM run_heads WHERE owner IS NULL AND ready_at IS NULL";
    const LIVE: &str = "SELECT count(*) FROM runs WHERE status NOT IN ('completed', 'failed', 'cancelled')";
    const RUNS: &str = "SELECT count(*) FROM runs";
    const ENDS: &str = "SELECT unnest(percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY \
         (extract(epoch FROM updated_at - first) * 1000)::int))::text FROM (SELECT updated_at, min(updated_at) \
         OVER (PARTITION BY parent_run_id) AS first FROM runs WHERE parent_run_id IN (SELECT run_id FROM runs WHERE workflow_id LIKE 'broad@%:main')) ends";
    let began = Instant::now();
    let mut report = field.report("R11", &["I7", "I8"]);
    let nodes = field.nodes();
    nodes[0].install(&bundle(resting)).await?;
    let (mut slowest, mut born) = (Duration::ZERO, Vec::new());
    for round in 0..rounds {
        let before = field.cluster.number(RUNS).await?;
        let root = nodes[0].start(BUNDLE, "main", json!({})).await?;
        let wanted = i64::try_from(resting + 1)?;
        until("the resting tree", LIMIT, || async {
            Ok(field.cluster.number(RESTING_HEADS).await? == wanted)
        })
        .await?;
        let (here, there) = (&nodes[round % nodes.len()], &nodes[(round + 1) % nodes.len()]);
        let event = json!({"name": "grow", "scope": "session", "session_id": root});
        let (grow, stop) = (format!("grow-{root}"), format!("stop-{root}"));
        here.command(&grow, &root, "emit_event", event).await?.ok()?;
        // In the middle of what the event causes, later in each round.
        tokio::time::sleep(Duration::from_millis(15 * round as u64)).await;
        there
            .command(&stop, &root, "cancel", json!({"reason": "enough"}))
            .await?
            .ok()?;
        let sent = Instant::now();
        report.fault();
        until("the end of the tree", LIMIT, || async {
            Ok(field.cluster.number(HEADS).await? == 0)
        })
        .await?;
        slowest = slowest.max(sent.elapsed());
        born.push(field.cluster.number(RUNS).await? - before - wanted);
        let left = field.cluster.number(LIVE).await?;
        if left != 0 {
            report.violation("I8", format!("round {round}: {left} runs live on"));
        }
    }
    report.figure("descendants", resting);
    report.figure("being_born", format!("{born:?}"));
    report.figure("live_descendants_after", 0);
    report.figure(
        "last_end_after_first_ms_p50_p99_max",
        field.cluster.texts(ENDS).await?.join(" "),
    );
    // Two seconds where the machine has nothing else to do; this one may.
    let bar = if cfg!(debug_assertions) { 15.0 } else { 5.0 };
    report.bar("tree_cancelled_s_max", seconds(slowest), bar);
    rest::check(&field.cluster, &mut report).await?;
    report.emit(began.elapsed());
    if !report.pass() {
        field.explain().await;
    }
    Ok(report)
}
