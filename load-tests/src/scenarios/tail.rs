//! The slowest runs at half of the rate that can be reached, beside streams and readers of old ledgers.

use std::{cell::Cell, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    client::start_body,
    cluster::Shape,
    gateway::Gateway,
    rounds::{Scenario, Values, repeat},
};

use super::{
    closed::{RECORDS_3, closed},
    fanout::Crowd,
    open::open,
};

const STREAMS: usize = 1_000;
const READERS: usize = 2;
/// Pause of a reader between two pages: together they read 40,000 records a second at most.
const PAUSE: Duration = Duration::from_millis(10);
const PAGE: u64 = 200;
/// Records of `answers500`.
const LEDGER: u64 = 1_002;
/// Between two answers that all the streams see.
const ANSWER_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn tail(options: &Options) -> Result<Option<Scenario>> {
    let shape = Shape::of(options);
    let mut gateway = Gateway::shaped(options, shape, &[]).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    let mut conn = gateway.conn();
    let old = conn.start(&start_body("answers500", &json!({}))).await?;
    let records = conn.follow(&old, 0).await?;
    ensure!(records == LEDGER, "{records} records instead of {LEDGER}");
    let mut crowd = Crowd::gather(&gateway, STREAMS).await?;
    let seconds = options.seconds;
    let scratch = gateway.home().to_owned();
    let scenario = repeat("tail", options.rounds, &scratch, &mut gateway, async |gateway| {
        let peak = closed(gateway, "answers3", RECORDS_3, 64, seconds)
            .await?
            .per_second();
        let mut beside = JoinSet::new();
        for _ in 0..READERS {
            let (mut conn, old) = (gateway.conn(), old.clone());
            beside.spawn(async move {
                loop {
                    for after in (0..LEDGER).step_by(PAGE as usize) {
                        let path = format!("/api/gateway/runs/{old}/ledger?after={after}&limit={PAGE}");
                        conn.call("GET", &path, Bytes::new()).await?;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        let over = Cell::new(false);
        let load = async {
            // Twice the time: a tail needs many runs.
            let load = open(gateway, peak / 2.0, seconds * 2.0).await;
            over.set(true);
            load
        };
        let answers = async {
            while !over.get() {
                crowd.answer().await?;
                tokio::time::sleep(ANSWER_EVERY).await;
            }
            anyhow::Ok(())
        };
        let (load, answered) = tokio::join!(load, answers);
        let load = load?;
        answered?;
        if let Some(reader) = beside.try_join_next() {
            let failed: Result<()> = reader?;
            failed.context("a reader")?;
        }
        Ok(Values::from([
            ("tail.peak_per_s".to_owned(), Some(peak)),
            ("tail.p50_ms".to_owned(), Some(load.percentile(0.5))),
            ("tail.p99_ms".to_owned(), Some(load.percentile(0.99))),
            ("tail.p999_ms".to_owned(), Some(load.percentile(0.999))),
            ("tail.completed".to_owned(), Some(load.completed())),
        ]))
    });
    scenario.await.map(Some)
}
