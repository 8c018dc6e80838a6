//! W4: reading a finished ledger of 1,002 records again and again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;

use crate::{
    cli::Options,
    client::{Conn, start_body},
    gateway::Gateway,
    rounds::{Scenario, Values, repeat},
    stats,
};

const RECORDS: u64 = 1_002;

/// Reads pages of a size to the end of the ledger; the bodies are not parsed.
async fn read(conn: &mut Conn, run: &str, page: u64) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut after = 0;
    while after < RECORDS {
        let path = format!("/api/gateway/runs/{run}/ledger?after={after}&limit={page}");
        let began = Instant::now();
        let (status, body) = conn.call("GET", &path, Bytes::new()).await?;
        times.push(began.elapsed());
        ensure!(status == 200, "ledger: {status}");
        after = (after + page).min(RECORDS);
        // The cursor stands at the end of the answer.
        let tail = &body[body.len().saturating_sub(40)..];
        let text = String::from_utf8_lossy(tail);
        ensure!(
            text.contains(&after.to_string()),
            "a page that does not end at {after}: {text}"
        );
    }
    Ok(times)
}

pub(crate) async fn w4(options: &Options) -> Result<Option<Scenario>> {
    let gateway = Gateway::running(options).await?;
    let mut conn = gateway.conn();
    let run = conn.start(&start_body("answers500", &json!({}))).await?;
    let records = conn.follow(&run, 0).await?;
    ensure!(records == RECORDS, "{records} records instead of {RECORDS}");
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("w4", options.rounds, &scratch, &mut conn, async |conn| {
        let mut values = Values::new();
        for page in [200, 1_000] {
            let cpu = gateway.cpu()?;
            let began = Instant::now();
            let (mut replays, mut pages) = (0, Vec::new());
            while began.elapsed().as_secs_f64() < seconds {
                let times = read(conn, &run, page).await?;
                // The rest of a ledger is no page.
                pages.extend(&times[..(RECORDS / page) as usize]);
                replays += 1;
            }
            let records = (replays * RECORDS) as f64;
            let rate = records / began.elapsed().as_secs_f64();
            let cpu = gateway.cpu()?.since(&cpu).sum();
            let sorted = stats::sorted_ms(&pages);
            values.insert(format!("w4.page{page}.records_per_s"), Some(rate));
            values.insert(
                format!("w4.page{page}.p50_ms"),
                Some(stats::percentile(&sorted, 0.5)),
            );
            values.insert(
                format!("w4.page{page}.cpu_us_per_record"),
                Some(cpu.as_secs_f64() * 1e6 / records),
            );
        }
        Ok(values)
    });
    scenario.await.map(Some)
}
