//! Model calls in flight: what a run costs while it waits for its answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    client::start_body,
    cluster::Shape,
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    stub::Stub,
};

use super::closed::{RECORDS_3, closed};

/// Longer than the scenario lasts.
const CALL: Duration = Duration::from_secs(300);
const CLIENTS: usize = 64;
/// Most time until all calls have reached the model server.
const ARRIVE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(2);

pub(crate) async fn calls(options: &Options) -> Result<Option<Scenario>> {
    let count = options.calls;
    let stub = Stub::slow(CALL).await?;
    let env = [
        ("OPENAI_BASE_URL", stub.base_url()),
        ("ABSTRACTGATEWAY_RUNNER_SLOTS", (count + 500).to_string()),
    ];
    let mut gateway = Gateway::shaped(options, Shape::of(options), &env).await?;
    closed(&gateway, "answers3", RECORDS_3, CLIENTS, options.seconds.max(1.0)).await?;
    let before = gateway.pss_mib()?;
    let mut starts = JoinSet::new();
    for client in 0..CLIENTS {
        let (mut conn, body) = (gateway.conn(), start_body("model3", &json!({})));
        starts.spawn(async move {
            for _ in (client..count).step_by(CLIENTS) {
                conn.start(&body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(started) = starts.join_next().await {
        started??;
    }
    let began = Instant::now();
    while stub.in_flight() < count as u64 {
        let there = stub.in_flight();
        ensure!(began.elapsed() < ARRIVE, "{there} of {count} calls have arrived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let scratch = gateway.home().to_owned();
    let scenario = repeat("calls", options.rounds, &scratch, &mut gateway, async |gateway| {
        let cpu = gateway.cpu()?;
        tokio::time::sleep(LOOK).await;
        let own = gateway.cpu()?.since(&cpu).own();
        let added = gateway.pss_mib()? - before;
        Ok(Values::from([
            (
                format!("calls.{count}.kib_each"),
                Some(added * 1024.0 / count as f64),
            ),
            (
                format!("calls.{count}.cpu_percent"),
                Some(ms(own) / ms(LOOK) * 100.0),
            ),
        ]))
    });
    scenario.await.map(Some)
}
