//! W8: a hundred runs with timers; the process is killed in the middle and started again at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cli::Options,
    client::start_body,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    server::Server,
};

const RUNS: usize = 100;
/// Five times: a message (two records) and a wait (`started`, `waiting`); then completion and status.
const RECORDS: u64 = 5 * 4 + 2;
const KILL_AFTER: Duration = Duration::from_millis(500);

pub(crate) async fn w8(options: &Options) -> Result<Option<Scenario>> {
    let mut server = Server::running(options).await?;
    let scratch = server.home().to_owned();
    let scenario = repeat("w8", options.rounds, &scratch, &mut server, async |server| {
        let mut conn = server.conn();
        let body = start_body("timers5", &json!({}));
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(conn.start(&body).await?);
        }
        tokio::time::sleep(KILL_AFTER).await;
        server.kill9()?;
        let killed = Instant::now();
        let restart = server.start().await?;
        let mut tasks = JoinSet::new();
        for run in runs {
            let mut conn = server.conn();
            tasks.spawn(async move {
                let cursor = conn.follow(&run, 0).await?;
                ensure!(cursor >= RECORDS, "run {run} ended after {cursor} records");
                anyhow::Ok(cursor - RECORDS)
            });
        }
        let mut repeated = 0;
        while let Some(task) = tasks.join_next().await {
            repeated = repeated.max(task??);
        }
        Ok(Values::from([
            ("w8.all_done_ms".to_owned(), Some(ms(killed.elapsed()))),
            ("w8.restart_ms".to_owned(), Some(ms(restart))),
            ("w8.repeated_per_run".to_owned(), Some(repeated as f64)),
        ]))
    });
    scenario.await.map(Some)
}
