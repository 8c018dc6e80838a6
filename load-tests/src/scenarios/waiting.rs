//! W6: what stored, waiting runs cost.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    cli::Options,
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
};

use super::{
    closed::{RECORDS_3, closed},
    resume::park,
};

const IDLE: Duration = Duration::from_secs(5);
/// More than these are not started by clients but written as copies.
const BY_CLIENTS: usize = 50_000;

pub(crate) async fn w6(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    let (seconds, waiting) = (options.seconds, options.waiting);
    let copied = waiting > BY_CLIENTS;
    park(&gateway, 500).await?;
    if copied && let Gateway::Embedded(server) = &mut gateway {
        // Copies need a restart, so what they are compared with gets one as well.
        server.stop().await?;
        server.start().await?;
    }
    warm(&gateway, seconds).await?;
    let alone = closed(&gateway, "answers3", RECORDS_3, 16, seconds)
        .await?
        .cpu_ms_each();
    let before = gateway.memory()?;
    if copied {
        let run = park(&gateway, 1).await?.pop().context("a parked run")?;
        gateway.multiply(&run, waiting).await?;
        warm(&gateway, seconds).await?;
    } else {
        park(&gateway, waiting).await?;
    }
    let after = gateway.memory()?;
    let added = before.iter().zip(&after).map(|(before, after)| after - before);
    let added = added.fold(f64::NEG_INFINITY, f64::max);
    let scratch = gateway.home().to_owned();
    let scenario = repeat("w6", options.rounds, &scratch, &mut gateway, async |gateway| {
        let cpu = gateway.cpu()?;
        tokio::time::sleep(IDLE).await;
        let own = gateway.cpu()?.since(&cpu).own() / u32::try_from(before.len())?;
        let idle = ms(own) / ms(IDLE) * 100.0;
        let beside = closed(gateway, "answers3", RECORDS_3, 16, seconds)
            .await?
            .cpu_ms_each();
        Ok(Values::from([
            (format!("w6.{waiting}.added_mib"), Some(added)),
            (format!("w6.{waiting}.idle_cpu_percent"), Some(idle)),
            (format!("w6.{waiting}.w1_cpu_ratio"), Some(beside / alone)),
        ]))
    });
    scenario.await.map(Some)
}

/// What a process takes for itself must not be counted as that of the waiting runs.
async fn warm(gateway: &Gateway, seconds: f64) -> Result<()> {
    closed(gateway, "answers3", RECORDS_3, 64, seconds.max(1.0))
        .await
        .map(drop)
}
