//! W6: what stored, waiting runs cost.

use std::time::Duration;

use anyhow::Result;

use crate::{
    cli::Options,
    rounds::{Scenario, Values, repeat},
    server::Server,
};

use super::{
    closed::{RECORDS_3, closed},
    resume::park,
};

const IDLE: Duration = Duration::from_secs(5);

pub(crate) async fn w6(options: &Options) -> Result<Option<Scenario>> {
    let mut server = Server::running(options).await?;
    let (seconds, waiting) = (options.seconds, options.waiting);
    // Warm: what the process takes for itself must not be counted as theirs.
    closed(&server, "answers3", RECORDS_3, 64, seconds).await?;
    park(&server, 500).await?;
    let alone = closed(&server, "answers3", RECORDS_3, 16, seconds)
        .await?
        .cpu_ms_each();
    let before = server.pss_mib()?;
    park(&server, waiting).await?;
    let added = server.pss_mib()? - before;
    let scratch = server.home().to_owned();
    let scenario = repeat("w6", options.rounds, &scratch, &mut server, async |server| {
        let cpu = server.cpu()?;
        tokio::time::sleep(IDLE).await;
        let idle = (server.cpu()? - cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
        let beside = closed(server, "answers3", RECORDS_3, 16, seconds)
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
