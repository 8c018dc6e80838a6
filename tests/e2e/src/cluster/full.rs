//! Row P6 on a cluster: the disk of the database is full for a while. The field's database must lie on a small one.

use std::time::{Duration, Instant};

use ag_testkit::StopMode;
use anyhow::{Context as _, Result, ensure};

use crate::{
    disk::{self, WhileFull},
    report::Report,
    until,
};

use super::{Field, RECOVERY, Storm, seconds};

/// The database's disk fills up under load and has room again later: what was accepted is not lost, everything can be
/// read meanwhile, and nobody has to help.
///
/// # Errors
/// The scenario cannot go on.
pub async fn no_room(field: &mut Field, full_for: Duration) -> Result<Report> {
    // The log of changes has a file's worth of room, so that what fails are statements, and not the server.
    const ROOM: &str = "SELECT pg_switch_wal()::text";
    const WRITE: &str = "CHECKPOINT";
    const ROW: &str = "P6";
    let disk = match &field.disk {
        Ok(disk) => disk.clone(),
        Err(reason) => return Ok(skipped(field, ROW, reason)),
    };
    let nodes = field.nodes();
    let ended = disk::ended_run(&nodes[0]).await?;
    Storm::new(ROW, "p6-")
        .run_beside(field, async |field, report| {
            field.cluster.texts(ROOM).await?;
            field.cluster.texts(WRITE).await?;
            report.figure("filled_kib", disk.fill()? / 1_024);
            report.fault();
            let seen = WhileFull::probe(&nodes, &ended, full_for).await?;
            disk.free()?;
            let freed = Instant::now();
            let accepted = seen.accepted();
            seen.judge(report)?;
            disk::ended_run(&nodes[0])
                .await
                .context("a run after there was room again")?;
            report.bar("first_run_s", seconds(freed.elapsed()), RECOVERY.as_secs_f64());
            Ok(accepted + 1)
        })
        .await
}

/// The same where not even the log of changes has room: the server ends. Once there is room, whoever supervises it
/// starts it again, and everything goes on.
///
/// # Errors
/// The scenario cannot go on.
pub async fn no_room_at_all(field: &mut Field) -> Result<Report> {
    const NEXT_FILE: &str =
        "SELECT concat(pg_logical_emit_message(false, 'p6', 'one more'), pg_switch_wal())";
    const ALIVE: &str = "SELECT 1::bigint";
    const ROW: &str = "P6 log of changes";
    let disk = match &field.disk {
        Ok(disk) => disk.clone(),
        Err(reason) => return Ok(skipped(field, ROW, reason)),
    };
    Storm::new(ROW, "p6-log-")
        .run(field, async |field, report| {
            disk.fill()?;
            report.fault();
            // Files that were kept for later are used up, and then there is no next one.
            until("the server to end", RECOVERY, || async {
                let refused = field.cluster.texts(NEXT_FILE).await.is_err();
                Ok(refused && field.cluster.number(ALIVE).await.is_err())
            })
            .await?;
            let away = Instant::now();
            tokio::time::sleep(Duration::from_secs(1)).await;
            disk.free()?;
            field.cluster.postgres.restart(StopMode::Immediate).await;
            report.figure("away_s", seconds(away.elapsed()));
            ensure!(field.cluster.number(ALIVE).await? == 1, "no server");
            Ok(())
        })
        .await
}

fn skipped(field: &Field, row: &str, reason: &str) -> Report {
    let mut report = field.report(row, &[]);
    report.skip(reason);
    report.emit(Duration::ZERO);
    report
}
