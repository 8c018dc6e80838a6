//! The one binary: subcommands and the composition of concrete adapters; no logic of its own.

mod backend;
mod cli;
mod client;
mod compose;
mod config_cmd;
mod gc;
mod healthcheck;
mod housekeeping;
mod mcp;
mod migrate;
mod objects;
mod runner_cmd;
mod secrets;
mod serve;
mod tokens;
mod tool_catalogue;
mod workspace_mark;

use std::process::ExitCode;

use clap::Parser as _;

/// Code nodes have a memory limit, which their interpreter can only enforce through the allocator.
#[global_allocator]
static ALLOCATOR: monty_alloc::LimitedAllocator = monty_alloc::LimitedAllocator;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let code = runtime.block_on(cli::dispatch(cli));
    // Blocking reads of a terminal must not hold the process.
    runtime.shutdown_background();
    match code {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a command go to the terminal"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("abstractgateway: {error:#}");
    ExitCode::FAILURE
}
