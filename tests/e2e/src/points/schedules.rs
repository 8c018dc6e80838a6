//! Schedules that go on over the deaths of a process.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde_json::json;

use crate::{
    Api,
    load::{flows::BUNDLE, tend},
    report::Report,
    until_some,
};

/// Started in each life.
const EACH_LIFE: usize = 3;
/// Executions of each.
const TIMES: usize = 3;

/// Schedules that were acknowledged.
#[derive(Debug, Default)]
pub(super) struct Schedules(Mutex<Vec<String>>);

impl Schedules {
    /// Starts some; a process that dies meanwhile has acknowledged fewer.
    pub(super) async fn start_some(&self, api: &Api) {
        for _ in 0..EACH_LIFE {
            let body = json!({
                "bundle_id": BUNDLE, "flow_id": "chain", "input_data": {},
                "start_at": "0.1s", "interval": "0.3s", "repeat_count": TIMES,
            });
            let Ok(reply) = api.post("/api/gateway/runs/schedule", &body).await else {
                return;
            };
            if let Some(run) = reply
                .ok()
                .ok()
                .and_then(|body| Some(body["run_id"].as_str()?.to_owned()))
            {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            }
        }
    }

    /// Waits for the last execution of each and counts them: as many as were asked for, no slot twice.
    pub(super) async fn until_all_ended(
        &self,
        api: &Api,
        limit: Duration,
        report: &mut Report,
    ) -> Result<()> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for run in &runs {
            let ended = until_some("the end of a schedule", limit, || async {
                let reply = api.get(&format!("/api/gateway/runs/{run}")).await?;
                if let Some(parked) = tend::parked(api, &reply.body).await? {
                    let id = format!("again-{}", uuid::Uuid::new_v4());
                    api.command(&id, &parked, "resume", json!({})).await?.ok()?;
                }
                let ended = reply.status != 200
                    || reply.body["status"] != "waiting" && reply.body["status"] != "running";
                Ok(ended.then_some(reply))
            })
            .await;
            match ended {
                Err(error) => report.violation("I7", format!("schedule {run}: {error:#}")),
                Ok(reply) if reply.status == 404 => {
                    report.violation("I1", format!("the accepted schedule {run} is gone"));
                }
                Ok(reply) if reply.body["status"] != "completed" => {
                    report.violation("I9", format!("schedule {run}: {}", reply.text));
                }
                Ok(_) => {
                    let history = api
                        .get(&format!("/api/gateway/runs/{run}/history_bundle"))
                        .await?
                        .ok()?;
                    let ledgers = history["ledgers"].as_object().map_or(0, serde_json::Map::len);
                    if ledgers != TIMES + 1 {
                        report.violation(
                            "I9",
                            format!("schedule {run}: {} executions", ledgers.saturating_sub(1)),
                        );
                    }
                }
            }
        }
        report.figure("schedules", runs.len());
        report.figure("executions_of_each", TIMES);
        Ok(())
    }
}
