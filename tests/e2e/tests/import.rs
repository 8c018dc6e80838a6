//! Folders of the Python gateway 0.2.27 go on in this one: nothing a client can see changes, and what waited there
//! ends here as it would have ended there.

use std::{collections::HashSet, time::Duration};

use ag_e2e::{
    Api, FakeUpstream, Gateway, Options,
    import::{Recorded, generate, measure, migrate, moved, outlines},
    until_some,
};
use ag_testkit::ScratchPostgres;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "/api/gateway";

/// A gateway whose data directory exists and which does not run.
async fn stopped(options: Options) -> Result<Gateway> {
    let mut gateway = Gateway::start(options).await?;
    gateway.terminate().await?;
    Ok(gateway)
}

fn strings(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Every ledger byte for byte, summaries, inputs, artifacts, commands.
async fn nothing_changes(store: &str) -> Result<()> {
    let recorded = Recorded::open(store, "http://127.0.0.1:9")?;
    let mut gateway = stopped(Options::default().env("ABSTRACTGATEWAY_RUNNER", "0")).await?;
    let plan = recorded.migrate(store, &gateway.data_dir(), &[]).await?.ok()?;
    assert!(
        plan.contains("nothing was written") && plan.contains("ledger records"),
        "{plan}"
    );
    let first = recorded
        .migrate(store, &gateway.data_dir(), &["--apply"])
        .await?
        .ok()?;
    assert!(
        first.contains("stored: ") && !first.contains("cannot be read"),
        "{first}"
    );
    let again = recorded
        .migrate(store, &gateway.data_dir(), &["--apply"])
        .await?
        .ok()?;
    assert!(again.contains("nothing was new"), "{again}");

    gateway.restart().await?;
    let api = gateway.api();
    same_ledgers(&api, &recorded.served).await?;
    let former = recorded.served["data_dir"]
        .as_str()
        .context("data folder of the recording")?;
    let summaries = moved(&recorded.served, former, &gateway.data_dir());
    let here = |value: &Value| moved(value, former, &gateway.data_dir());
    same_summaries(&api, &summaries, &recorded.run("ask choices, bundle gone"), here).await?;
    same_artifacts(&api, &recorded.served).await?;
    same_commands(&api, &recorded).await?;
    let flows = api.get(&format!("{PREFIX}/visualflows")).await?.ok()?;
    assert_eq!(flows[0]["name"], "Imported é");
    Ok(())
}

async fn same_ledgers(api: &Api, served: &Value) -> Result<()> {
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

/// `here` puts the present folder in the place of the former one; `rebuilt` executes a bundle that the Python gateway
/// did not know any more.
async fn same_summaries(
    api: &Api,
    served: &Value,
    rebuilt: &str,
    here: impl Fn(&Value) -> Value,
) -> Result<()> {
    for (run, then) in strings(&served["runs"]) {
        let now = api.run(run).await?;
        for (key, value) in strings(then) {
            // Owners of memory have no limits, whatever they show of them.
            if key != "limits" || !run.starts_with("session_memory_") {
                assert_eq!(&now[key], value, "{key} of {run}");
            }
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

async fn same_artifacts(api: &Api, served: &Value) -> Result<()> {
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

/// Ids are remembered, numbers go on where they stopped.
async fn same_commands(api: &Api, recorded: &Recorded) -> Result<()> {
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

/// What waited is answered, what was queued is applied once, what ran goes on, timers and schedules fire.
async fn everything_goes_on(store: &str) -> Result<()> {
    let upstream = FakeUpstream::start().await?;
    let recorded = Recorded::open(store, upstream.base_url())?;
    let mut gateway = stopped(Options::default().upstream(upstream.base_url())).await?;
    recorded
        .migrate(store, &gateway.data_dir(), &["--apply"])
        .await?
        .ok()?;
    let say_hi = json!({"rules": [{"when": {"last_user_is": "Say hi"}, "reply": {"content": "hi there"}}]});
    upstream.script(&say_hi).await?;
    gateway.restart().await?;
    let api = gateway.api();
    let served = &recorded.served;

    for label in [
        "killed in a call",
        "timer",
        "not yet begun",
        "ask pending",
        "pending event",
        "timer cancelled",
    ] {
        let run = recorded.run(label);
        let ended = api
            .until_status(&run, &["completed", "cancelled", "failed"], LIMIT)
            .await;
        ended.with_context(|| label.to_owned())?;
    }
    for action in served["actions"].as_array().context("actions")? {
        act(&api, &upstream, &recorded, action).await?;
    }
    // What the Python gateway could not have continued: its bundle was deleted, its flow comes from a snapshot.
    let run = recorded.run("ask choices, bundle gone");
    let choice = json!({"payload": {"response": "a"}});
    api.command("choice", &run, "resume", choice).await?.ok()?;
    api.until_status(&run, &["completed"], LIMIT).await?;

    for (label, expected) in strings(&served["after"]) {
        if label.starts_with("ended ") || label == "ask choices, bundle gone" {
            continue;
        }
        compare(&api, &recorded, label, expected)
            .await
            .with_context(|| label.to_owned())?;
    }
    Ok(())
}

async fn act(api: &Api, upstream: &FakeUpstream, recorded: &Recorded, action: &Value) -> Result<()> {
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

async fn compare(api: &Api, recorded: &Recorded, label: &str, expected: &Value) -> Result<()> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_file_store_changes() -> Result<()> {
    nothing_changes("file").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_sqlite_store_changes() -> Result<()> {
    nothing_changes("sqlite").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_file_store_go_on() -> Result<()> {
    everything_goes_on("file").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_an_sqlite_store_go_on() -> Result<()> {
    everything_goes_on("sqlite").await
}

/// From the Python gateway into an embedded gateway, from there to a cluster (fault matrix E4).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_gateway_becomes_a_cluster() -> Result<()> {
    let Some(server) = ScratchPostgres::shared() else {
        return Ok(());
    };
    let url = server.url(&server.database().await);
    let upstream = FakeUpstream::start().await?;
    let recorded = Recorded::open("file", upstream.base_url())?;
    let embedded = stopped(Options::default()).await?;
    let data = embedded.data_dir();
    recorded.migrate("file", &data, &["--apply"]).await?.ok()?;

    let env = [("ABSTRACTGATEWAY_DATABASE_URL", url.as_str())];
    let scratch = tempfile::tempdir()?;
    migrate(&[], scratch.path(), &env).await?.ok()?;
    let options = Options::default()
        .env(env[0].0, url.as_str())
        .env(
            "ABSTRACTGATEWAY_WORKSPACES_ROOT",
            data.join("workspaces").to_string_lossy(),
        )
        .upstream(upstream.base_url());
    let mut api_node = stopped(options).await?;
    let path = data.to_string_lossy();
    let plan = migrate(&["--from", "embedded", &path], &api_node.data_dir(), &env)
        .await?
        .ok()?;
    assert!(plan.contains("nothing was written"), "{plan}");
    let copy = ["--from", "embedded", &*path, "--apply"];
    let first = migrate(&copy, &api_node.data_dir(), &env).await?.ok()?;
    assert!(!first.contains("run_heads           0"), "{first}");
    let again = migrate(&copy, &api_node.data_dir(), &env).await?.ok()?;
    for line in again.lines().filter(|line| line.ends_with(" new")) {
        assert!(line.ends_with(", 0 new"), "{again}");
    }

    let say_hi = json!({"rules": [{"when": {"last_user_is": "Say hi"}, "reply": {"content": "hi there"}}]});
    upstream.script(&say_hi).await?;
    api_node.restart().await?;
    let api = api_node.api();
    same_ledgers(&api, &recorded.served).await?;
    let mut runner = api_node.runner()?;
    runner.start().await?;
    for action in recorded.served["actions"].as_array().context("actions")? {
        act(&api, &upstream, &recorded, action).await?;
    }
    for (label, expected) in strings(&recorded.served["after"]) {
        if !label.starts_with("ended ") && label != "ask choices, bundle gone" {
            compare(&api, &recorded, label, expected)
                .await
                .with_context(|| label.to_owned())?;
        }
    }
    // The copy that is repeated after all has gone on takes nothing back.
    runner.terminate().await?;
    let late = migrate(&copy, &api_node.data_dir(), &env).await?.ok()?;
    assert!(
        late.lines()
            .any(|line| line.starts_with("run_heads") && line.ends_with(", 0 new")),
        "{late}"
    );
    Ok(())
}

/// From the Python gateway straight into a cluster's database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_takes_an_sqlite_store_over() -> Result<()> {
    let Some(server) = ScratchPostgres::shared() else {
        return Ok(());
    };
    let url = server.url(&server.database().await);
    let recorded = Recorded::open("sqlite", "http://127.0.0.1:9")?;
    let env = [("ABSTRACTGATEWAY_DATABASE_URL", url.as_str())];
    let scratch = tempfile::tempdir()?;
    migrate(&[], scratch.path(), &env).await?.ok()?;
    let mut node = stopped(Options::default().env(env[0].0, url.as_str())).await?;
    let (data, flows) = (recorded.data(), recorded.flows());
    let (data, flows) = (data.to_string_lossy(), flows.to_string_lossy());
    let arguments = ["--from", "sqlite", &*data, "--flows-dir", &*flows, "--apply"];
    let first = migrate(&arguments, &node.data_dir(), &env).await?.ok()?;
    assert!(first.contains("stored: "), "{first}");
    let again = migrate(&arguments, &node.data_dir(), &env).await?.ok()?;
    assert!(again.contains("nothing was new"), "{again}");
    node.restart().await?;
    let api = node.api();
    same_ledgers(&api, &recorded.served).await?;
    same_artifacts(&api, &recorded.served).await?;
    same_commands(&api, &recorded).await
}

/// Refusals say what is in the way, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_is_refused() -> Result<()> {
    let recorded = Recorded::open("file", "http://127.0.0.1:9")?;
    let gateway = Gateway::start(Options::default()).await?;
    let busy = recorded
        .migrate("file", &gateway.data_dir(), &["--apply"])
        .await?
        .refused()?;
    assert!(busy.contains("in use"), "{busy}");

    let other = tempfile::tempdir()?;
    let lock = std::fs::File::options()
        .write(true)
        .open(recorded.data().join("gateway_runner.lock"))?;
    lock.lock()?;
    let busy = recorded.migrate("file", other.path(), &[]).await?.refused()?;
    assert!(busy.contains("is in use: stop the gateway"), "{busy}");
    drop(lock);

    let sqlite = Recorded::open("sqlite", "http://127.0.0.1:9")?;
    let same = sqlite
        .migrate("sqlite", &sqlite.data(), &["--apply"])
        .await?
        .refused()?;
    assert!(same.contains("same file"), "{same}");
    let wrong = recorded.migrate("sqlite", other.path(), &[]).await?.refused()?;
    assert!(wrong.contains("holds no gateway.sqlite3"), "{wrong}");
    Ok(())
}

/// The memory of an import does not grow with the ledgers: here they are 40 MB, half of it in one run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_ledgers_pass_through() -> Result<()> {
    let (source, target) = (tempfile::tempdir()?, tempfile::tempdir()?);
    generate(source.path(), 1_000, 20)?;
    let cost = measure(source.path(), target.path()).await?;
    assert!(
        cost.said.contains("1001 runs with 40000 records"),
        "{}",
        cost.said
    );
    let mib = cost.peak_bytes / (1024 * 1024);
    assert!(mib < 160, "the import needed {mib} MiB");
    Ok(())
}
