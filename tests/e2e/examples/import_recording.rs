//! Imports a recording of the Python gateway and compares what is served of it: `import_recording PATH.zip
//! file|sqlite`. `tests/e2e/import/record_vectors.py` makes one of every vector. Name the gateway with
//! `ABSTRACTGATEWAY_BIN`.

use ag_e2e::{
    Gateway, Options,
    import::{
        Recorded,
        compare::{same_artifacts, same_ledgers, same_summaries, strings},
        moved,
    },
    report,
};
use anyhow::Context as _;
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("a recording")?;
    let store = arguments.next().context("file or sqlite")?;
    let recorded = Recorded::open_file(path.as_ref(), "http://127.0.0.1:9")?;
    let mut gateway = Gateway::start(Options::default().env("ABSTRACTGATEWAY_RUNNER", "0")).await?;
    gateway.terminate().await?;
    let done = recorded
        .migrate(&store, &gateway.data_dir(), &["--apply"])
        .await?;
    report::note(&done.ok()?);
    gateway.restart().await?;
    let former = recorded.served["data_dir"].as_str().context("data folder")?;
    let here = |value: &Value| moved(value, former, &gateway.data_dir());
    let api = gateway.api();
    same_ledgers(&api, &recorded.served).await?;
    same_summaries(&api, &here(&recorded.served), "", here).await?;
    same_artifacts(&api, &recorded.served).await?;
    let runs = strings(&recorded.served["runs"]).count();
    report::note(&format!("{runs} runs are served as before"));
    Ok(())
}
