//! Same answers as recorded, see `vectors/README.md`.
//!
//! `AG_E2E_FILTER=loop` runs part of the set, `AG_E2E_LEVEL=ledger` compares less, `AG_E2E_SHARDS` sets the number of
//! gateways that work in parallel.

use ag_e2e::vectors::{Target, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_default() -> anyhow::Result<()> {
    check(Target::Embedded, "default", "approval").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_passthrough() -> anyhow::Result<()> {
    check(Target::Embedded, "tools-passthrough", "passthrough").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_delegated() -> anyhow::Result<()> {
    check(Target::Embedded, "tools-delegated", "delegated").await
}

/// The API nodes of a cluster know the same, and runners elsewhere do the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_on_a_cluster() -> anyhow::Result<()> {
    check(Target::Cluster, "default", "approval").await
}
