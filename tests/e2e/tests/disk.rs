//! Row P6 of the fault matrix: full disks. Where nothing can be mounted the report says so. The short form of the cluster
//! is in `cluster`.

use std::time::Duration;

use ag_e2e::{
    cluster::{Field, Verdicts, full},
    disk, report,
};
use anyhow::{Result, ensure};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_gateway_survives_a_full_disk() -> Result<()> {
    embedded(Duration::from_secs(2)).await
}

/// The same for longer than the runners repeat a commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes; run by name"]
async fn full_disks_long() -> Result<()> {
    const LONG: Duration = Duration::from_secs(20);
    embedded(LONG).await?;
    let Some(mut field) = Field::start_on_small_disk(2, 3, &[]).await? else {
        return Ok(());
    };
    let mut verdicts = Verdicts::default();
    verdicts.add("no_room", full::no_room(&mut field, LONG).await);
    verdicts.add("no_room_at_all", full::no_room_at_all(&mut field).await);
    verdicts.judge()
}

async fn embedded(full_for: Duration) -> Result<()> {
    let report = disk::embedded(full_for, report::seed()).await?;
    ensure!(report.pass() || report.skipped().is_some(), "see the report line");
    Ok(())
}
