//! W7: from nothing to the first completed run, with runs in the store. In a cluster it is an API node that starts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;

use crate::{
    cli::Options,
    client::{Conn, start_body},
    gateway::Gateway,
    probe::ms,
    rounds::{Scenario, Values, repeat},
};

use super::{
    closed::{RECORDS_3, one},
    growth::fill,
};

/// Between looks whether a starting process answers.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) async fn w7(options: &Options) -> Result<Option<Scenario>> {
    let mut gateway = Gateway::running(options).await?;
    fill(&mut gateway, options.stored).await?;
    let scratch = gateway.home().to_owned();
    let stored = options.stored;
    let scenario = repeat("w7", options.rounds, &scratch, &mut gateway, async |gateway| {
        let (mut conn, healthy, began) = match gateway {
            Gateway::Embedded(server) => {
                server.stop().await?;
                let began = Instant::now();
                server.start().await?;
                let mut conn = server.conn();
                health(&mut conn).await?;
                (conn, began.elapsed(), began)
            }
            Gateway::Cluster(cluster) => {
                cluster.processes.api[0].terminate().await?;
                let mut conn = cluster.conn_to(0);
                let began = Instant::now();
                // The port stays, so that readiness is seen at once and not when the node's own look finds it.
                let answers = async {
                    while health(&mut conn).await.is_err() {
                        tokio::time::sleep(LOOK).await;
                    }
                    began.elapsed()
                };
                let (started, healthy) = tokio::join!(cluster.processes.api[0].start(), answers);
                started?;
                (conn, healthy, began)
            }
        };
        one(&mut conn, &start_body("answers3", &json!({})), RECORDS_3).await?;
        let first = began.elapsed();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let memory = gateway.memory()?;
        Ok(Values::from([
            ("w7.healthy_ms".to_owned(), Some(ms(healthy))),
            ("w7.first_run_ms".to_owned(), Some(ms(first))),
            ("w7.pss_mib".to_owned(), memory.first().copied()),
            ("w7.stored_runs".to_owned(), Some(stored as f64)),
        ]))
    });
    scenario.await.map(Some)
}

async fn health(conn: &mut Conn) -> Result<()> {
    let (status, _) = conn.call("GET", "/api/health", Bytes::new()).await?;
    ensure!(status == 200, "health: {status}");
    Ok(())
}
