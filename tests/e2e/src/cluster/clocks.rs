//! Row R16: processes whose machines' clocks are wrong.

use std::time::Duration;

use ag_testkit::Node;
use anyhow::Result;

use crate::{points::FAILPOINTS, report::Report};

use super::{Field, Storm, points};

const AHEAD: &str = "clock=skew(120000)";
const BEHIND: &str = "clock=skew(-120000)";
const YEAR_AHEAD: &str = "clock=skew(31536000000)";

/// A runner two minutes ahead, one two minutes behind, an API node one year ahead: no timer fires early, no lease is
/// taken early, nothing stands still. What is skewed is the clock that the code is given; a library that lies to a
/// whole process (libfaketime) does not get along with the binary's allocator.
///
/// # Errors
/// The scenario cannot go on.
pub async fn wrong_clocks(field: &mut Field) -> Result<Report> {
    let mut report = field.report("R16", &[]);
    if !points::present(field, &mut report) {
        report.emit(Duration::ZERO);
        return Ok(report);
    }
    let cluster = &mut field.cluster;
    for (runner, skew) in cluster
        .runners
        .iter_mut()
        .zip([AHEAD, BEHIND].into_iter().cycle())
    {
        restart(runner, Some(skew)).await?;
    }
    for node in cluster.api.iter_mut().take(1) {
        restart(node, Some(YEAR_AHEAD)).await?;
    }
    let storm = Storm::new("R16", "r16-");
    let report = storm
        .run(field, async |field, report| {
            report.figure("skews", "+120s, -120s, +1y");
            // Timers come due many times meanwhile.
            tokio::time::sleep(Duration::from_secs(3)).await;
            // Their successors are as wrong.
            for runner in &mut field.cluster.runners {
                runner.kill9().await?;
                report.fault();
                runner.start().await?;
            }
            Ok(())
        })
        .await;
    let cluster = &mut field.cluster;
    for node in cluster.runners.iter_mut().chain(cluster.api.iter_mut().take(1)) {
        restart(node, None).await?;
    }
    report
}

async fn restart(node: &mut Node, skew: Option<&str>) -> Result<()> {
    node.kill9().await?;
    node.set_env(FAILPOINTS, skew);
    node.start().await?;
    Ok(())
}
