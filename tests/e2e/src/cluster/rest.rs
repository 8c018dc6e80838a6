//! What the database must look like when every run has ended.

use ag_testkit::Cluster;
use anyhow::Result;

use crate::report::Report;

/// What must not be found: invariant, name of the figure, query for a count.
const FINDINGS: [(&str, &str, &str); 6] = [
    ("I7", "stranded_heads", "SELECT count(*) FROM run_heads"),
    (
        "I8",
        "open_runs_without_head",
        "SELECT count(*) FROM runs r WHERE status NOT IN ('completed', 'failed', 'cancelled') AND NOT EXISTS \
         (SELECT FROM run_heads h WHERE h.run_id = r.run_id AND h.plane_id = r.plane_id)",
    ),
    ("I7", "unread_mail", "SELECT count(*) FROM mail"),
    (
        "I4",
        "ledger_gaps",
        "SELECT count(*) FROM (SELECT first_seq, lag(last_seq, 1, 0::bigint) OVER \
         (PARTITION BY run_id, plane_id ORDER BY last_seq) AS before FROM ledger) s WHERE first_seq <> before + 1",
    ),
    (
        "I5",
        "states_beside_their_ledger",
        "SELECT count(*) FROM runs r WHERE last_seq <> (SELECT coalesce(max(l.last_seq), 0) FROM ledger l \
         WHERE l.run_id = r.run_id AND l.plane_id = r.plane_id)",
    ),
    (
        "I2",
        "command_numbers_given_twice_or_skipped",
        "SELECT (SELECT count(*) - count(DISTINCT (plane_id, seq)) FROM commands) + \
         (SELECT count(*) FROM planes p WHERE command_seq <> (SELECT count(*) FROM commands c WHERE c.plane_id = p.plane_id))",
    ),
];

/// Root runs stored so far.
pub(super) async fn root_runs(cluster: &Cluster) -> Result<i64> {
    let query = "SELECT count(*) FROM runs WHERE parent_run_id IS NULL";
    cluster.number(query).await
}

/// Looks for what must not be there.
pub(super) async fn check(cluster: &Cluster, report: &mut Report) -> Result<()> {
    for (invariant, name, query) in FINDINGS {
        let count = cluster.number(query).await?;
        report.figure(name, count);
        if count != 0 {
            report.violation(invariant, format!("{name}: {count}"));
        }
    }
    Ok(())
}
