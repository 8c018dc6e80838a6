//! A cluster without one of its brokers: slower, and nothing else.

use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::try_join_all;

use crate::{
    cli::Options,
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    stats,
};

use super::{
    closed::{RECORDS_3, closed},
    fanout::Crowd,
    open::open,
};

/// Runs with one stream each, whose records are timed.
const STREAMS: u32 = 20;
/// A node's looks at its streams while the feed is away. Answers are spread over one such period: a client that answers
/// as soon as it has seen the last question would always wait for a whole one.
const PERIOD: Duration = Duration::from_secs(1);
/// A run of one client takes less where both brokers work.
const RECOVERED_MS: f64 = 50.0;
/// Looks at whether they do.
const ATTEMPTS: u32 = 60;
/// Starts per second whose wake-up is timed, spread for the same reason.
const SPARSE: f64 = 20.0;

pub(crate) async fn degraded(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    let seconds = options.seconds;
    closed(&gateway, "answers3", RECORDS_3, 16, seconds).await?;
    let load = closed(&gateway, "answers3", RECORDS_3, 64, seconds).await?;
    let normal = load.per_second();
    let scratch = gateway.home().to_owned();
    let scenario = repeat(
        "degraded",
        options.rounds,
        &scratch,
        &mut gateway,
        async |gateway| {
            let mut values = Values::new();
            // Brokers end in order: nodes see their connections close.
            gateway.cluster()?.processes.nats.stop().await;
            let sparse = open(gateway, SPARSE, seconds.max(2.0)).await?;
            let wake = sparse.percentile(0.5);
            values.insert("degraded.no_nats.p50_ms".to_owned(), Some(wake));
            half(gateway, normal, seconds, "degraded.no_nats", &mut values).await?;

            let cluster = gateway.cluster()?;
            cluster.processes.nats.restart().await;
            cluster.processes.redis.stop().await;
            let delay = way_of_records(gateway).await?;
            values.insert("degraded.no_redis.p50_ms".to_owned(), Some(delay));
            half(gateway, normal, seconds, "degraded.no_redis", &mut values).await?;
            gateway.cluster()?.processes.redis.restart().await;
            recover(gateway).await?;
            Ok(values)
        },
    );
    scenario.await.map(Some)
}

/// Waits until records come at once again: for a while after a reconnect streams look for themselves.
async fn recover(gateway: &Gateway) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let alone = closed(gateway, "answers3", RECORDS_3, 1, 0.5).await?;
        if stats::percentile(&alone.latencies_ms, 0.5) < RECOVERED_MS {
            return Ok(());
        }
    }
    bail!("the cluster has not recovered from the loss of a broker")
}

/// Median time from a record to its stream.
async fn way_of_records(gateway: &Gateway) -> Result<f64> {
    let delays = (0..STREAMS).map(async |n| {
        let mut crowd = Crowd::gather(gateway, 1).await?;
        tokio::time::sleep(PERIOD * n / STREAMS).await;
        crowd.answer().await
    });
    Ok(stats::median(&try_join_all(delays).await?))
}

/// Starts at half of the normal rate.
async fn half(gateway: &Gateway, normal: f64, seconds: f64, name: &str, values: &mut Values) -> Result<()> {
    let load = open(gateway, normal / 2.0, seconds).await?;
    values.insert(format!("{name}.completed"), Some(load.completed()));
    values.insert(format!("{name}.open_p50_ms"), Some(load.percentile(0.5)));
    values.insert(format!("{name}.drift"), Some(load.drift()));
    values.insert(format!("{name}.drained_ms"), Some(ms(load.drained)));
    Ok(())
}
