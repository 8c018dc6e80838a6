//! Load tests of the gateway: HTTP only, one gateway per scenario, median and range of several rounds.
//!
//! `cargo run --release -p ag-load-tests -- w1 w2` runs scenarios against `target/release/abstractgateway`, writes one
//! JSON file to `load-tests/results/` and the table of the newest figures to `load-tests/results/README.md`.

mod bundle;
mod cli;
mod client;
mod cluster;
mod gateway;
mod probe;
mod process;
mod report;
mod rounds;
mod scenarios;
mod seed;
mod server;
mod sse;
mod stats;
mod stub;
mod targets;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = cli::Options::parse();
    process::raise_descriptor_limit();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?
        .block_on(scenarios::run(options))
}
