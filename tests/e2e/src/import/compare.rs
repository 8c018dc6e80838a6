//! What a recording says of a folder, compared with what a gateway serves of an import of it.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Recorded, outlines};
use crate::{Api, FakeUpstream, until_some};

const LIMIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "/api/gateway";

/// The members of a recorded object.
pub fn strings(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Every ledger, byte for byte.
///
/// # Errors
/// One cannot be read.
///
/// # Panics
/// One differs.
pub async fn same_ledgers(api: &Api, served: &Value) -> Result<()> {
    for (run, body) in strings(&served["ledgers"]) {
        let reply = api.get(&format!("{PREFIX}/runs/{run}/ledger?limit=2000")).await?;
        ensure!(
            reply.status == 200,
            "ledger of {run} answered {}: {}",
            reply.status,
            reply.text
        );
        assert_eq!(reply.text, body.as_str().unwrap_or_default(), "ledger of {run}");
    }
    Ok(())
}

/// Summaries and inputs of all runs. `here` puts the present folder in the place of the former one; `rebuilt` executes a bundle that the Python gateway
/// did not know any more.
///
/// # Errors
/// One cannot be read.
///
/// # Panics
/// One differs.
pub async fn same_summaries(
    api: &Api,
    served: &Value,
    rebuilt: &str,
    here: impl Fn(&Value) -> Value,
) -> Result<()> {
    for (run, then) in strings(&served["runs"]) {
        let now = api.run(run).await?;
        for (key, value) in strings(then) {
            assert_eq!(&now[key], value, "{key} of {run}");
        }
    }
    for (run, then) in strings(&served["input_data"]).filter(|(run, _)| *run != rebuilt) {
        let now = api.get(&format!("{PREFIX}/runs/{run}/input_data")).await?.ok()?;
        for key in [
            "run_id",
            "workflow_id",
            "bundle_id",
            "bundle_version",
            "flow_id",
            "pin_ids",
        ] {
            assert_eq!(now[key], then[key], "{key} of the input of {run}");
        }
        let ours = &now["input_data"];
        for (key, value) in strings(&then["input_data"]) {
            assert_eq!(&here(&ours[key]), value, "input {key} of {run}");
        }
    }
    Ok(())
}

/// Artifacts of all runs, with their content.
///
/// # Errors
/// One cannot be read.
///
/// # Panics
/// One differs.
pub async fn same_artifacts(api: &Api, served: &Value) -> Result<()> {
    for (run, then) in strings(&served["artifacts"]) {
        let now = api
            .get(&format!("{PREFIX}/runs/{run}/artifacts?limit=500"))
            .await?
            .ok()?;
        let items = now["items"].as_array().context("items")?;
        let ids: HashSet<&str> = items
            .iter()
            .filter_map(|item| item["artifact_id"].as_str())
            .collect();
        for (id, facts) in strings(then) {
            assert!(ids.contains(id.as_str()), "artifact {id} of {run}");
            let item = items
                .iter()
                .find(|item| item["artifact_id"] == id.as_str())
                .context("item")?;
            for key in ["content_type", "size_bytes", "tags", "created_at"] {
                assert_eq!(item[key], facts[key], "{key} of artifact {id}");
            }
            let content = api
                .get(&format!("{PREFIX}/runs/{run}/artifacts/{id}/content"))
                .await?;
            assert_eq!(content.status, 200, "content of artifact {id}");
            assert_eq!(
                Some(content.text.len() as u64),
                facts["size_bytes"].as_u64(),
                "content of artifact {id}"
            );
        }
        assert_eq!(ids.len(), strings(then).count(), "artifacts of {run}");
    }
    Ok(())
}

/// Ids of commands are remembered, numbers go on where they stopped.
///
/// # Errors
/// A command is refused.
///
/// # Panics
/// An answer differs.
pub async fn same_commands(api: &Api, recorded: &Recorded) -> Result<()> {
    let answers = &recorded.served["answers"];
    let mut last = 0;
    for pending in recorded.served["pending"].as_array().context("pending")? {
        let id = pending[0].as_str().context("id")?;
        let seq = answers[id]["seq"].as_i64().context("seq")?;
        last = last.max(seq);
        let repeat = api.command(id, "elsewhere", "cancel", json!({})).await?.ok()?;
        assert_eq!(
            repeat,
            json!({"accepted": false, "duplicate": true, "seq": seq}),
            "{id}"
        );
    }
    let run = recorded.run("ended llm-basic");
    let fresh = api.command("fresh", &run, "cancel", json!({})).await?.ok()?;
    assert_eq!(fresh["seq"], json!(last + 1));
    let unknown = api.get("/api/v1/commands/pending-unknown").await?;
    assert!(unknown.text.contains("not found"), "{}", unknown.text);
    Ok(())
}

/// Does what was recorded after the stop, and waits for what it leads to.
///
/// # Errors
/// It leads nowhere.
pub async fn act(api: &Api, upstream: &FakeUpstream, recorded: &Recorded, action: &Value) -> Result<()> {
    let text = |key: &str| {
        action[key]
            .as_str()
            .map(str::to_owned)
            .context("a text of the action")
    };
    if !action["upstream"].is_null() {
        upstream.script(&action["upstream"]).await?;
    }
    let (label, target) = (text("run")?, text("target")?);
    let command = json!({
        "command_id": text("command_id")?, "run_id": target, "type": text("type")?, "payload": action["payload"],
        "client_id": "fixture",
    });
    let reply = api.post(&format!("{PREFIX}/commands"), &command).await?;
    reply.ok().with_context(|| label.clone())?;
    let run = recorded.run(&label);
    let unpaused = action["type"] == "resume" && label == "paused event";
    if unpaused {
        until_some("the run to go on", LIMIT, || async {
            Ok((api.run(&run).await?["paused"] == false).then_some(()))
        })
        .await?;
    } else if label == "listener" {
        let wanted = recorded.served["after"][&label]["ledger"]
            .as_array()
            .map_or(0, Vec::len);
        until_some("the event", LIMIT, || async {
            Ok((api.ledger(&run).await?.len() >= wanted).then_some(()))
        })
        .await?;
    } else {
        let ended = api
            .until_status(&run, &["completed", "cancelled", "failed"], LIMIT)
            .await;
        ended.with_context(|| label.clone())?;
    }
    Ok(())
}

/// The run behind a label against what became of it in the Python gateway.
///
/// # Errors
/// Its records do not come.
///
/// # Panics
/// They differ.
pub async fn compare(api: &Api, recorded: &Recorded, label: &str, expected: &Value) -> Result<()> {
    let run = recorded.run(label);
    let served = recorded.served["ledgers"][&run]
        .as_str()
        .context("served ledger")?;
    let served: Value = serde_json::from_str(served)?;
    let before = served["items"].as_array().map_or(0, Vec::len);
    let then = expected["ledger"].as_array().context("expected ledger")?;
    let now = until_some("the records", LIMIT, || async {
        let now = api.ledger(&run).await?;
        let enough = outlines(&now, before).len() >= outlines(then, before).len();
        Ok(enough.then_some(now))
    })
    .await?;
    assert_eq!(
        &now[..before],
        served["items"].as_array().map_or(&[][..], Vec::as_slice),
        "{label}: past records"
    );
    assert_eq!(
        outlines(&now, before),
        outlines(then, before),
        "{label}: new records"
    );
    let summary = api.run(&run).await?;
    assert_eq!(summary["status"], expected["status"], "{label}");
    assert_eq!(summary["error"], expected["error"], "{label}");
    Ok(())
}
