//! Imports that die and are repeated, databases behind a pooler, and what lies beside the runs of a folder.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use ag_e2e::{
    FakeUpstream, Gateway, Options,
    import::{
        Recorded,
        compare::{act, compare, same_artifacts, same_ledgers, same_summaries, strings},
        generate,
        interrupted::{Death, difference, files, rows, until_done},
        migrate, moved,
    },
};
use ag_testkit::{ScratchPgBouncer, ScratchPostgres};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

const PREFIX: &str = "/api/gateway";
const NOWHERE: &str = "http://127.0.0.1:9";
const LIMIT: Duration = Duration::from_secs(60);

/// A recorded folder with a long ledger and many short ones beside the recorded runs.
fn large() -> Result<Recorded> {
    let recorded = Recorded::open("file", NOWHERE)?;
    generate(&recorded.data(), 700, 10)?;
    Ok(recorded)
}

fn import_of(recorded: &Recorded, store: &'static str) -> [String; 6] {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    [
        "--from".to_owned(),
        store.to_owned(),
        text(recorded.data()),
        "--flows-dir".to_owned(),
        text(recorded.flows()),
        "--apply".to_owned(),
    ]
}

async fn same_end(recorded: &Recorded, death: Death, fewest: usize) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let home = recorded.home().to_string_lossy().into_owned();
    let env = [("HOME", home.as_str())];
    let arguments = import_of(recorded, "file");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Paths of workspaces lie in the rows, so both are made at one place.
    let (data, kept) = (scratch.path().join("data"), scratch.path().join("kept"));
    let began = Instant::now();
    migrate(&arguments, &data, &env).await?.ok()?;
    let took = began.elapsed();
    let (undisturbed, kept_files) = (rows(&data).await?, files(&data.join("blobs"))?);
    let kept_workspaces = files(&data.join("workspaces"))?;
    std::fs::rename(&data, &kept)?;

    let death = match death {
        Death::After(_) => Death::After(took / 12),
        at_each_write => at_each_write,
    };
    let Some(deaths) = until_done(&arguments, &data, &env, death).await? else {
        return Ok(());
    };
    ensure!(deaths >= fewest, "it died only {deaths} times");
    let repeated = rows(&data).await?;
    if let Some(difference) = difference(&undisturbed, &repeated) {
        panic!("after {deaths} deaths the rows differ:\n{difference}");
    }
    assert_eq!(files(&data.join("workspaces"))?, kept_workspaces);
    let blobs: HashMap<String, u64> = files(&data.join("blobs"))?.into_iter().collect();
    for (name, size) in kept_files {
        assert_eq!(blobs.get(&name), Some(&size), "blob {name}");
    }
    let again = migrate(&arguments, &data, &env).await?.ok()?;
    assert!(again.contains("nothing was new"), "{again}");
    Ok(())
}

/// Dead before each of its writes in turn, it leaves what an undisturbed one leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_dies_at_each_write_ends_the_same() -> Result<()> {
    same_end(&Recorded::open("file", NOWHERE)?, Death::AtEachWrite, 15).await
}

/// The same with SIGKILL in the middle of whatever it does, long ledgers included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_ends_the_same() -> Result<()> {
    same_end(&large()?, Death::After(Duration::ZERO), 4).await
}

/// Into Postgres, where the lines of another import may be under way: what clients see tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_into_a_cluster_may_die_at_each_write() -> Result<()> {
    let Some(server) = ScratchPostgres::shared() else {
        return Ok(());
    };
    let url = server.url(&server.database().await);
    let upstream = FakeUpstream::start().await?;
    let recorded = Recorded::open("sqlite", upstream.base_url())?;
    let home = recorded.home().to_string_lossy().into_owned();
    let env = [
        ("ABSTRACTGATEWAY_DATABASE_URL", url.as_str()),
        ("HOME", home.as_str()),
    ];
    let scratch = tempfile::tempdir()?;
    migrate(&[], scratch.path(), &env).await?.ok()?;
    let options = Options::default()
        .env(env[0].0, url.as_str())
        .upstream(upstream.base_url());
    let mut node = stopped(options).await?;
    let arguments = import_of(&recorded, "sqlite");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(deaths) = until_done(&arguments, &node.data_dir(), &env, Death::AtEachWrite).await? else {
        return Ok(());
    };
    ensure!(deaths >= 15, "it died only {deaths} times");
    let say_hi = json!({"rules": [{"when": {"last_user_is": "Say hi"}, "reply": {"content": "hi there"}}]});
    upstream.script(&say_hi).await?;
    node.restart().await?;
    let api = node.api();
    same_ledgers(&api, &recorded.served).await?;
    same_artifacts(&api, &recorded.served).await?;
    let mut runner = node.runner()?;
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
    Ok(())
}

/// A pooler in transaction mode lies between, with and without prepared statements: both kinds of import pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_pass_a_pooler() -> Result<()> {
    let Some(server) = ScratchPostgres::shared() else {
        return Ok(());
    };
    let pooler = ScratchPgBouncer::start(server, 3).await;
    let recorded = Recorded::open("file", NOWHERE)?;
    let embedded = stopped(Options::default()).await?;
    recorded
        .migrate("file", &embedded.data_dir(), &["--apply"])
        .await?
        .ok()?;
    let of_reference = import_of(&recorded, "file").to_vec();
    let path = embedded.data_dir().to_string_lossy().into_owned();
    let of_embedded = ["--from", "embedded", &path, "--apply"]
        .map(str::to_owned)
        .to_vec();
    for (what, arguments) in [("reference", of_reference), ("embedded", of_embedded)] {
        let mut addresses = vec!["&statement-cache-capacity=0"];
        addresses.extend(ScratchPgBouncer::tracks_statements().then_some(""));
        for more in addresses {
            let url = pooler.url(&server.database().await) + more;
            let env = [("ABSTRACTGATEWAY_DATABASE_URL", url.as_str())];
            let scratch = tempfile::tempdir()?;
            migrate(&[], scratch.path(), &env).await?.ok()?;
            let mut node = stopped(Options::default().env(env[0].0, url.as_str())).await?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let done = migrate(&arguments, &node.data_dir(), &env).await?.ok();
            done.with_context(|| format!("{what}, '{more}'"))?;
            node.restart().await?;
            same_ledgers(&node.api(), &recorded.served).await?;
        }
    }
    Ok(())
}

async fn stopped(options: Options) -> Result<Gateway> {
    let mut gateway = Gateway::start(options).await?;
    gateway.terminate().await?;
    Ok(gateway)
}

/// Statements of the knowledge graph, connections with their keys, memory in the middle of a run; and what does not
/// come is named with its count before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_beside_runs_comes_or_is_named() -> Result<()> {
    let upstream = FakeUpstream::start().await?;
    let recorded = Recorded::open("more", upstream.base_url())?;
    add_lance_table(&recorded.data())?;
    let mut gateway = stopped(Options::default().upstream(upstream.base_url())).await?;
    let plan = recorded.migrate("sqlite", &gateway.data_dir(), &[]).await?.ok()?;
    for line in [
        "default/default, default/carol",
        "keys of connections         1",
        "connections                 2",
        "2 users with their tokens and 1 reserved runtimes are left behind",
        "1 browser sessions are left behind",
        "2 secrets are left behind (auth/session_secret, auth/bootstrap-admin-token)",
        "6 statements in the LanceDB table 'triple_assertions' are left behind",
    ] {
        assert!(plan.contains(line), "'{line}' is missing: {plan}");
    }
    let done = recorded
        .migrate("sqlite", &gateway.data_dir(), &["--apply"])
        .await?
        .ok()?;
    assert!(!format!("{plan}{done}").contains("canary"), "{done}");
    let again = recorded
        .migrate("sqlite", &gateway.data_dir(), &["--apply"])
        .await?
        .ok()?;
    assert!(again.contains("nothing was new"), "{again}");

    gateway.restart().await?;
    let (api, served) = (gateway.api(), &recorded.served);
    let former = served["data_dir"].as_str().context("data folder")?;
    let here = |value: &Value| moved(value, former, &gateway.data_dir());
    same_ledgers(&api, served).await?;
    same_summaries(&api, &here(served), "", here).await?;
    for asked in served["graph"].as_array().context("graph")? {
        let reply = api
            .post(&format!("{PREFIX}/kg/query"), &asked["query"])
            .await?
            .ok()?;
        assert_eq!(
            plain(&reply["items"]),
            plain(&asked["items"]),
            "{}",
            asked["query"]
        );
    }

    // The connection shows the same fingerprint, and its key opens.
    let profiles = api
        .get(&format!("{PREFIX}/config/provider-endpoint-profiles"))
        .await?
        .ok()?;
    let ours = |id: &str| -> Result<Value> {
        let list = profiles["profiles"].as_array().context("profiles")?;
        let found = list.iter().find(|profile| profile["id"] == id);
        found.cloned().with_context(|| format!("connection {id}"))
    };
    // Others come from the environment of the gateway.
    let stored = served["profiles"].as_array().context("profiles")?.iter();
    let stored: Vec<&Value> = stored
        .filter(|then| then["id"] == "lab" || then["id"] == "keyless")
        .collect();
    assert_eq!(stored.len(), 2);
    for then in stored {
        let now = ours(then["id"].as_str().context("id")?)?;
        for (key, value) in strings(then).filter(|(key, _)| *key != "base_url") {
            assert_eq!(&now[key], value, "{key} of {}", then["id"]);
        }
    }
    upstream
        .script(&json!({"rules": [{"when": {}, "reply": {"content": "through the lab"}}]}))
        .await?;
    let input = json!({"prompt": "who are you", "provider": "endpoint:lab", "model": "gpt-4o-mini"});
    let run = api
        .start("vec-llm-explicit-provider-model", "main", input)
        .await?;
    api.until_status(&run, &["completed"], LIMIT).await?;

    // Notes and an archived conversation of before are found by the run that goes on.
    for action in served["actions"].as_array().context("actions")? {
        act(&api, &upstream, &recorded, action).await?;
    }
    let expected = &served["after"]["memory"];
    compare(&api, &recorded, "memory", expected).await?;
    let now = api.ledger(&recorded.run("memory")).await?;
    let recalled = now
        .iter()
        .find(|record| record["node_id"] == "q" && record["status"] == "completed");
    let text = recalled.map(ToString::to_string).unwrap_or_default();
    assert!(
        text.contains("The wall is teal") && text.contains("the shelf is walnut"),
        "{text}"
    );
    Ok(())
}

/// Statements without the ids that later versions of the Python gateway's library show; those of one moment have no
/// order.
fn plain(items: &Value) -> Vec<String> {
    let items = items.as_array().into_iter().flatten();
    let mut plain: Vec<String> = items
        .map(|item| {
            let mut item = item.clone();
            if let Some(item) = item.as_object_mut() {
                item.shift_remove("assertion_id");
            }
            item.to_string()
        })
        .collect();
    plain.sort();
    plain
}

/// As a gateway with the default backend leaves it: a manifest with two rows, and five of which one is deleted.
fn add_lance_table(data: &Path) -> Result<()> {
    let versions = data.join("abstractmemory/kg/triple_assertions.lance/_versions");
    std::fs::create_dir_all(&versions)?;
    let message = [
        &[0x12, 5, 0x12, 1, b'f', 0x20, 2][..],
        &[0x12, 10, 0x08, 1, 0x1a, 4, 0x10, 2, 0x20, 1, 0x20, 5],
    ]
    .concat();
    let mut file = u32::try_from(message.len())?.to_le_bytes().to_vec();
    file.extend(&message);
    file.extend(0u64.to_le_bytes());
    file.extend([0, 0, 2, 0]);
    file.extend(b"LANC");
    std::fs::write(versions.join("18446744073709551614.manifest"), file)?;
    Ok(())
}
