//! One process owns a data directory; what it acknowledged is there after the next start.

use std::time::Duration;

use ag_e2e::{Bundle, Flow, Gateway, Options, SecondProcess};
use serde_json::json;

fn bundle() -> Bundle {
    let flow = Flow::new("main", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}))
        .data("q.response", "end.response");
    Bundle::new("asks", [flow])
}

const LIMIT: Duration = Duration::from_secs(20);

/// Two writers on one file would each believe to own every run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused() -> anyhow::Result<()> {
    let gateway = Gateway::start(Options::default()).await?;
    let api = gateway.api();
    api.install(&bundle()).await?;
    let run = api.start("asks", "main", json!({})).await?;

    match gateway.second_process().await? {
        SecondProcess::Started => panic!("a second process came up on a data directory in use"),
        SecondProcess::Refused { status, output } => {
            assert!(!status.success(), "refused with {status}");
            assert!(!output.trim().is_empty(), "refused without a word");
        }
    }

    api.until_status(&run, &["waiting"], LIMIT).await?;
    let payload = json!({"payload": {"response": "still here"}});
    api.command("c1", &run, "resume", payload).await?.ok()?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    Ok(())
}

/// The lock of a killed process must not outlive it, whatever is killed when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_the_directory_free() -> anyhow::Result<()> {
    let mut gateway = Gateway::start(Options::default()).await?;
    gateway.api().install(&bundle()).await?;
    let run = gateway.api().start("asks", "main", json!({})).await?;
    gateway.kill9().await?;
    gateway.restart().await?;
    let api = gateway.api();
    api.until_status(&run, &["waiting"], LIMIT).await?;
    let payload = json!({"payload": {"response": "yes"}});
    api.command("c1", &run, "resume", payload).await?.ok()?;
    api.until_status(&run, &["completed"], LIMIT).await?;
    Ok(())
}

/// An orderly end is one: status 0, and everything is found again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_in_order() -> anyhow::Result<()> {
    let mut gateway = Gateway::start(Options::default()).await?;
    gateway.api().install(&bundle()).await?;
    let run = gateway.api().start("asks", "main", json!({})).await?;
    gateway.api().until_status(&run, &["waiting"], LIMIT).await?;
    let before = gateway.api().ledger(&run).await?;
    let status = gateway.terminate().await?;
    assert!(status.success(), "ended with {status}\n{}", gateway.log_tail());
    gateway.restart().await?;
    assert_eq!(gateway.api().ledger(&run).await?, before);
    Ok(())
}
