//! W9: steps with an effect outside the gateway, a model call that answers after a millisecond.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    cli::Options,
    client::start_body,
    cluster::Shape,
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    stats,
    stub::Stub,
};

use super::closed::{closed, one};

const STEPS: u64 = 20;
/// Two records per call, completion and status.
const RECORDS: u64 = STEPS * 2 + 2;
const RECORDS_SHORT: u64 = 3 * 2 + 2;

pub(crate) async fn w9(options: &Options) -> Result<Option<Scenario>> {
    let stub = Stub::start().await?;
    let env = [("OPENAI_BASE_URL", stub.base_url())];
    let mut gateway = Gateway::shaped(options, Shape::of(options), &env).await?;
    closed(&gateway, "model3", RECORDS_SHORT, 4, 0.5).await?;
    let (calls, _) = stub.take();
    ensure!(calls != 0, "no call has reached the stub");
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("w9", options.rounds, &scratch, &mut gateway, async |gateway| {
        let mut values = Values::new();
        let added = added_per_step(gateway, &stub, seconds).await?;
        values.insert("w9.c1.added_ms".to_owned(), Some(added));

        let short = closed(gateway, "model3", RECORDS_SHORT, 64, seconds).await?;
        values.insert("w9.c64.steps3_per_s".to_owned(), Some(short.per_second() * 3.0));
        stub.take();
        let load = closed(gateway, "model20", RECORDS, 64, seconds).await?;
        let (calls, _) = stub.take();
        let steps = load.latencies_ms.len() as u64 * STEPS;
        ensure!(calls == steps, "{calls} calls for {steps} steps");
        values.insert(
            "w9.c64.steps_per_s".to_owned(),
            Some(load.per_second() * STEPS as f64),
        );
        values.insert(
            "w9.c64.cpu_ms_per_step".to_owned(),
            Some(load.cpu_ms_each() / STEPS as f64),
        );
        for (part, time) in load.cpu.parts() {
            let name = format!("w9.c64.cpu_ms_per_step.{part}");
            values.insert(name, Some(ms(time) / steps as f64));
        }
        Ok(values)
    });
    scenario.await.map(Some)
}

/// Median over runs of (time of the run − time in the stub) ÷ steps.
async fn added_per_step(gateway: &Gateway, stub: &Stub, seconds: f64) -> Result<f64> {
    let mut conn = gateway.conn();
    let body = start_body("model20", &json!({}));
    let began = Instant::now();
    let mut added = Vec::new();
    while began.elapsed().as_secs_f64() < seconds {
        stub.take();
        let run = Instant::now();
        one(&mut conn, &body, RECORDS).await?;
        let whole = run.elapsed();
        let (_, inside) = stub.take();
        added.push(ms(whole.saturating_sub(inside)) / STEPS as f64);
    }
    Ok(stats::median(&added))
}
