//! Rows E1 and R1 of the fault matrix in embedded mode: `kill -9` under load.
//!
//! The long form: `cargo test --release -p ag-e2e --test crash -- --ignored --nocapture`.
//! `AG_E2E_SEED` repeats the choices of a run whose seed was printed.

use std::time::Duration;

use ag_e2e::{crash, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_under_load_short() -> anyhow::Result<()> {
    let plan = crash::Plan {
        kills: 8,
        in_flight: 100,
        kill_after_ms: (30, 900),
        integrity_every: 4,
        recovery_limit: Duration::from_secs(20),
    };
    check(plan, Duration::from_secs(90)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; run by name"]
async fn kill_under_load_long() -> anyhow::Result<()> {
    let plan = crash::Plan {
        kills: 60,
        in_flight: 100,
        kill_after_ms: (5, 1500),
        integrity_every: 1,
        recovery_limit: Duration::from_secs(20),
    };
    check(plan, Duration::from_secs(540)).await
}

async fn check(plan: crash::Plan, limit: Duration) -> anyhow::Result<()> {
    let report = tokio::time::timeout(limit, crash::run(plan, report::seed())).await??;
    assert!(report.pass(), "violations, see the report line");
    Ok(())
}
