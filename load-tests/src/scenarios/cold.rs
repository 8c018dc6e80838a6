//! W7: from nothing to the first completed run, with runs in the store.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;

use crate::{
    cli::Options,
    client::start_body,
    probe::ms,
    rounds::{Scenario, Values, repeat},
    server::Server,
};

use super::closed::{RECORDS_3, closed, one};

pub(crate) async fn w7(options: &Options) -> Result<Option<Scenario>> {
    let mut server = Server::running(options).await?;
    let mut stored = 0;
    while stored < options.stored {
        let load = closed(&server, "answers3", RECORDS_3, 64, 1.0).await?;
        stored += load.latencies_ms.len();
    }
    let scratch = server.home().to_owned();
    let scenario = repeat("w7", options.rounds, &scratch, &mut server, async |server| {
        server.stop().await?;
        let began = Instant::now();
        server.start().await?;
        let mut conn = server.conn();
        let (status, _) = conn.call("GET", "/api/health", Bytes::new()).await?;
        ensure!(status == 200, "health: {status}");
        let healthy = began.elapsed();
        one(&mut conn, &start_body("answers3", &json!({})), RECORDS_3).await?;
        let first = began.elapsed();
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Values::from([
            ("w7.healthy_ms".to_owned(), Some(ms(healthy))),
            ("w7.first_run_ms".to_owned(), Some(ms(first))),
            ("w7.pss_mib".to_owned(), server.pss_mib().ok()),
            ("w7.stored_runs".to_owned(), Some(stored as f64)),
        ]))
    });
    scenario.await.map(Some)
}
