//! W8: a hundred runs in flight; the process that executes them is killed.

use std::time::{Duration, Instant};

use ag_testkit::Node;
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

const RUNS: usize = 100;
const KILL_AFTER: Duration = Duration::from_millis(500);

/// Five times: a message (two records) and a wait (`started`, `waiting`); then completion and status.
const TIMERS: Kind = Kind {
    flow: "timers5",
    records: 5 * 4 + 2,
};
/// Three calls, two records each; then completion and status.
const CALLS: Kind = Kind {
    flow: "model3",
    records: 3 * 2 + 2,
};
/// So long that each run is inside a call when its holder dies.
const CALL: Duration = Duration::from_millis(500);

struct Kind {
    flow: &'static str,
    records: u64,
}

impl Kind {
    /// Starts the runs and lets them go on for a while.
    async fn start(&self, gateway: &Gateway) -> Result<Vec<String>> {
        let mut conn = gateway.conn();
        let body = start_body(self.flow, &json!({}));
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(conn.start(&body).await?);
        }
        tokio::time::sleep(KILL_AFTER).await;
        Ok(runs)
    }

    /// Waits for all ends; how often an effect was repeated in one run at most.
    async fn finish(&self, gateway: &Gateway, runs: Vec<String>) -> Result<u64> {
        let mut tasks = JoinSet::new();
        let records = self.records;
        for run in runs {
            let mut conn = gateway.conn();
            tasks.spawn(async move {
                let cursor = conn.follow(&run, 0).await?;
                ensure!(cursor >= records, "run {run} ended after {cursor} records");
                anyhow::Ok(cursor - records)
            });
        }
        let mut repeated = 0;
        while let Some(task) = tasks.join_next().await {
            repeated = repeated.max(task??);
        }
        Ok(repeated)
    }
}

pub(crate) async fn w8(options: &Options) -> Result<Option<Scenario>> {
    let stub = Stub::slow(CALL).await?;
    let env = [("OPENAI_BASE_URL", stub.base_url())];
    let shape = Shape::of(options).at_least(1, 2);
    let mut gateway = Gateway::shaped(options, shape, &env).await?;
    let scratch = gateway.home().to_owned();
    let scenario = repeat("w8", options.rounds, &scratch, &mut gateway, async |gateway| {
        if let Gateway::Embedded(_) = gateway {
            embedded(gateway).await
        } else {
            let mut values = Values::new();
            returns(gateway, &mut values).await?;
            stays_away(gateway, &mut values).await?;
            Ok(values)
        }
    });
    scenario.await.map(Some)
}

/// The one process, started again at once.
async fn embedded(gateway: &mut Gateway) -> Result<Values> {
    let runs = TIMERS.start(gateway).await?;
    let server = gateway.embedded()?;
    server.kill9()?;
    let killed = Instant::now();
    let restart = server.start().await?;
    let repeated = TIMERS.finish(gateway, runs).await?;
    Ok(Values::from([
        ("w8.all_done_ms".to_owned(), Some(ms(killed.elapsed()))),
        ("w8.restart_ms".to_owned(), Some(ms(restart))),
        ("w8.repeated_per_run".to_owned(), Some(repeated as f64)),
    ]))
}

/// The only runner, started again at once.
async fn returns(gateway: &mut Gateway, values: &mut Values) -> Result<()> {
    others(gateway, Turn::Off).await?;
    for (kind, name) in [(TIMERS, "w8"), (CALLS, "w8.calls")] {
        let runs = kind.start(gateway).await?;
        let first = first(gateway)?;
        first.kill9().await?;
        let killed = Instant::now();
        let restart = first.start().await?;
        let repeated = kind.finish(gateway, runs).await?;
        values.insert(format!("{name}.all_done_ms"), Some(ms(killed.elapsed())));
        values.insert(format!("{name}.restart_ms"), Some(ms(restart)));
        values.insert(format!("{name}.repeated_per_run"), Some(repeated as f64));
    }
    Ok(())
}

/// The runner that holds all the calls, while another one is there and only the end of the lease tells it.
async fn stays_away(gateway: &mut Gateway, values: &mut Values) -> Result<()> {
    let runs = CALLS.start(gateway).await?;
    // From now on, so that it holds none of them; before the kill, because a runner that starts looks for dead ones.
    others(gateway, Turn::On).await?;
    first(gateway)?.kill9().await?;
    let killed = Instant::now();
    let repeated = CALLS.finish(gateway, runs).await?;
    values.insert("w8.away.all_done_ms".to_owned(), Some(ms(killed.elapsed())));
    values.insert("w8.away.repeated_per_run".to_owned(), Some(repeated as f64));
    first(gateway)?.start().await?;
    Ok(())
}

enum Turn {
    On,
    Off,
}

fn first(gateway: &mut Gateway) -> Result<&mut Node> {
    Ok(&mut gateway.cluster()?.processes.runners[0])
}

async fn others(gateway: &mut Gateway, turn: Turn) -> Result<()> {
    for runner in &mut gateway.cluster()?.processes.runners[1..] {
        match (&turn, runner.is_running()) {
            (Turn::On, false) => drop(runner.start().await?),
            (Turn::Off, true) => drop(runner.terminate().await?),
            _ => {}
        }
    }
    Ok(())
}
