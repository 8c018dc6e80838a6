//! Row R2 on a cluster: nodes die at named points of their code, under load. Embedded: [`crate::points`].

use std::time::Duration;

use ag_testkit::{EndedEarly, Node, Role};
use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{points::FAILPOINTS, report::Report};

use super::{Field, Storm};

/// Points of runners; the ends of statements are those of the Postgres adapter.
const RUNNER: [&str; 11] = [
    "lease.acquired",
    "step.after_effect[llm_call]",
    "step.before_commit[keep]",
    "step.before_commit[terminal]",
    "step.after_commit[wait]",
    "outbox.before_publish",
    "child.planned",
    "child.terminal",
    "parent.before_wake",
    "store.before_commit",
    "store.after_commit",
];
/// Points of API nodes.
const API: [&str; 5] = [
    "start.before_ack",
    "cmd.before_ring[resume]",
    "cmd.before_ring[emit_event]",
    "cmd.before_ack[cancel]",
    "store.after_commit",
];
/// Longest life of an armed node.
const LIFE: Duration = Duration::from_secs(8);

/// One node after the other is started with a point armed and dies there; at most so many, chosen by the seed.
///
/// # Errors
/// The scenario cannot go on.
pub async fn points(field: &mut Field, most: usize) -> Result<Report> {
    let mut report = field.report("R2", &[]);
    if !present(field, &mut report) {
        report.emit(Duration::ZERO);
        return Ok(report);
    }
    let storm = Storm::new("R2", "r2-");
    let mut missed = Vec::new();
    storm
        .run(field, async |field, report| {
            let mut rng = StdRng::seed_from_u64(field.seed);
            let runners = RUNNER.map(|point| (Role::Runner, point));
            let mut all: Vec<_> = runners
                .into_iter()
                .chain(API.map(|point| (Role::Serve, point)))
                .collect();
            for n in (1..all.len()).rev() {
                all.swap(n, rng.random_range(0..=n));
            }
            all.truncate(most);
            report.figure("points", all.len());
            for (n, (role, point)) in all.into_iter().enumerate() {
                let nodes = match role {
                    Role::Runner => &mut field.cluster.runners,
                    Role::Serve => &mut field.cluster.api,
                };
                let count = nodes.len();
                let rule = format!("{point}=abort@{}", rng.random_range(1..=3));
                // The kill that makes room for the armed process is a fault like its death.
                report.fault();
                report.fault();
                if !dies(&mut nodes[n % count], &rule).await? {
                    missed.push(rule);
                }
            }
            report.figure("points_missed", missed.join(", "));
            // The runners share what there is to do, so a point may be the other one's for once.
            let bar = 2 * field.rounds;
            report.bar("points_not_reached", missed.len() as f64, f64::from(bar));
            Ok(())
        })
        .await
}

/// Starts a node armed, waits for its death and starts it as it was; false if it went on.
async fn dies(node: &mut Node, rule: &str) -> Result<bool> {
    node.kill9().await?;
    node.set_env(FAILPOINTS, Some(rule));
    let died = match node.start().await {
        Ok(_) => node.ended(LIFE).await.is_ok(),
        Err(error) if error.downcast_ref::<EndedEarly>().is_some() => true,
        Err(error) => return Err(error),
    };
    if !died {
        node.kill9().await?;
    }
    node.set_env(FAILPOINTS, None);
    node.start().await?;
    Ok(died)
}

/// Whether the nodes' program has failpoints; if not, the report says that nothing was learned.
pub(super) fn present(field: &Field, report: &mut Report) -> bool {
    let log = field.cluster.runners.first().map(Node::log_path);
    let text = log.and_then(|log| std::fs::read_to_string(log).ok());
    let present = text.is_some_and(|text| text.contains(crate::points::ARMED));
    if !present {
        report.skip("the binary has no failpoints: it was built without debug assertions");
    }
    present
}
