//! Folders of the Python gateway 0.2.27 go on in this one: nothing a client can see changes, and what waited there
//! ends here as it would have ended there.

use std::time::Duration;

use ag_e2e::{
    FakeUpstream, Gateway, Options,
    import::{
        Recorded,
        compare::{act, compare, same_artifacts, same_commands, same_ledgers, same_summaries, strings},
        generate, measure, migrate, moved,
    },
};
use ag_testkit::ScratchPostgres;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const PREFIX: &str = "/api/gateway";

/// A gateway whose data directory exists and which does not run.
async fn stopped(options: Options) -> Result<Gateway> {
    let mut gateway = Gateway::start(options).await?;
    gateway.terminate().await?;
    Ok(gateway)
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
