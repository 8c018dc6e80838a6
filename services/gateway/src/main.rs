//! The one binary: subcommands and the composition of concrete adapters; no logic of its own.

mod backend;
mod cli;
mod client;
mod clock;
mod compose;
mod config_cmd;
mod gc;
mod healthcheck;
mod housekeeping;
mod mcp;
mod migrate;
mod objects;
mod runner_cmd;
mod scratch;
mod secrets;
mod serve;
mod tokens;
mod tool_catalogue;
mod workspace_mark;

use std::process::ExitCode;

use clap::Parser as _;

/// Code nodes have a memory limit, which their interpreter can only enforce through the allocator. It counts and asks the
/// C library's `malloc`, which [`link_allocator`] replaces.
#[global_allocator]
static ALLOCATOR: monty_alloc::LimitedAllocator = monty_alloc::LimitedAllocator;

/// mimalloc takes the place of the C library's allocator for the whole process, SQLite's C code included: allocating was
/// a sixth of the work of a short run. It needs no call, only to be linked, which naming any of its functions does.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn link_allocator() {
    std::hint::black_box(mimalloc::MiMalloc.version());
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn link_allocator() {}

fn main() -> ExitCode {
    link_allocator();
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
