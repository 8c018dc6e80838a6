//! The compiler and the step machine alone: the example `flow_bench` of `ag-visualflow`, when it has been built.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    cli::{Options, release_folder},
    report,
    rounds::{Scenario, Values, repeat},
};

pub(crate) async fn kernel(options: &Options) -> Result<Option<Scenario>> {
    let mut program = release_folder().join("examples/flow_bench");
    if !program.is_file() {
        report::progress(
            "kernel: left out, `cargo build --release -p ag-visualflow --example flow_bench` makes it",
        );
        return Ok(None);
    }
    let scratch = tempfile::tempdir()?;
    let scenario = repeat(
        "kernel",
        options.rounds,
        scratch.path(),
        &mut program,
        async |program| {
            let output = Command::new(program).output()?;
            ensure!(output.status.success(), "flow_bench: {}", output.status);
            let line: Value = serde_json::from_slice(&output.stdout)?;
            let fields = line.as_object().context("flow_bench wrote no object")?;
            Ok(fields
                .iter()
                .map(|(name, value)| (format!("kernel.{name}"), value.as_f64()))
                .collect::<Values>())
        },
    );
    scenario.await.map(Some)
}
