//! How fast an import is, and how much memory it takes: `import_rate [RUNS] [RECORDS_PER_RUN]`, 5,000 runs of 10
//! records and one run of 50,000 without arguments. Name the gateway with `ABSTRACTGATEWAY_BIN`.

use ag_e2e::import::{generate, measure};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let runs = numbers.next().transpose()?.unwrap_or(5_000);
    let records = numbers.next().transpose()?.unwrap_or(10);
    let (source, target) = (tempfile::tempdir()?, tempfile::tempdir()?);
    generate(source.path(), runs, records)?;
    let cost = measure(source.path(), target.path()).await?;
    let all = 2 * runs * records;
    let rate = all as f64 / cost.took.as_secs_f64();
    ag_e2e::report::note(&format!(
        "{all} records of {} runs in {:.2} s: {rate:.0} records/s, peak {} MiB\n{}",
        runs + 1,
        cost.took.as_secs_f64(),
        cost.peak_bytes / (1024 * 1024),
        cost.said
    ));
    Ok(())
}
