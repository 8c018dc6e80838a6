//! `execute_command`: a shell command in the workspace.

mod danger;
mod process;

use std::fmt::Write as _;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Outcome, Run, Tool};
use crate::args::Args;
use crate::context::ToolContext;
use crate::spec::ArgType::{Boolean, Integer, String as Text};
use crate::spec::{Arg, Example, ToolSpec};
use crate::text::head;
use crate::toolbox::Toolbox;
use process::{Finished, Request};

pub(crate) const NAME: &str = "execute_command";
pub(super) const TOOL: Tool = Tool {
    name: NAME,
    spec,
    run: Run::Async(run),
};

const STDOUT_PREVIEW_CHARS: usize = 20_000;
const STDERR_PREVIEW_CHARS: usize = 5_000;
const MAX_TIMEOUT_S: i64 = 3600;

fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Run a shell command in the workspace and return its exit code and output. Commands that destroy data or the system are refused.",
        when_to_use: "To build, test, or use a command line program. For reading and changing files prefer the file tools.",
        args: vec![
            Arg::required("command", Text, "Command line for the shell."),
            Arg::optional(
                "working_directory",
                Text,
                Value::Null,
                "Directory to run in; default: the workspace.",
            ),
            Arg::optional(
                "timeout",
                Integer,
                300,
                "Seconds after which the command and its children are killed.",
            ),
            Arg::optional("capture_output", Boolean, true, "Return the output."),
            Arg::optional(
                "require_confirmation",
                Boolean,
                false,
                "Kept for compatibility; the gateway's approval decides.",
            ),
            Arg::optional(
                "allow_dangerous",
                Boolean,
                false,
                "Run a command that is refused as dangerous; say why to the user.",
            ),
        ],
        examples: vec![Example {
            description: "Run the tests",
            arguments: json!({"command": "pytest -q", "timeout": 600}),
        }],
        toolset: "system",
        tags: &["exec"],
    }
}

fn run<'a>(args: &'a Args, toolbox: &'a Toolbox, ctx: &'a ToolContext) -> BoxFuture<'a, Outcome> {
    async move {
        let command = args.text("command");
        if command.trim().is_empty() {
            return Err("command must not be empty".to_owned());
        }
        if command.contains('\0') {
            return Err("command must not contain NUL".to_owned());
        }
        if !args.flag("allow_dangerous", false)
            && let Some(reason) = danger::reason(command)
        {
            return Err(format!("Command refused as dangerous ({reason}): {command}"));
        }
        let workspace = std::sync::Arc::clone(&ctx.workspace);
        let raw = args.opt_text("working_directory").unwrap_or(".").to_owned();
        let directory = tokio::task::spawn_blocking(move || {
            workspace.ensure_root().map_err(|error| error.to_string())?;
            let directory = workspace.resolve(&raw).map_err(|error| error.to_string())?;
            if directory.is_dir() {
                Ok(directory)
            } else {
                Err(format!("Working directory '{raw}' does not exist"))
            }
        })
        .await
        .map_err(|error| format!("Tool execution failed: {error}"))??;
        let seconds = args.int("timeout", 300).clamp(1, MAX_TIMEOUT_S);
        let request = Request {
            command,
            directory: &directory,
            environment: &toolbox.exec.environment,
            capture: args.flag("capture_output", true),
            timeout: Duration::from_secs(seconds.unsigned_abs()),
        };
        let finished = process::run(&request)
            .await
            .map_err(|error| format!("Cannot run command: {error}"))?;
        Ok(describe(
            command,
            &directory.display().to_string(),
            seconds,
            &finished,
        ))
    }
    .boxed()
}

fn describe(command: &str, directory: &str, timeout_s: i64, finished: &Finished) -> Value {
    let (stdout_preview, stdout_cut) = head(&finished.stdout.text, STDOUT_PREVIEW_CHARS);
    let (stderr_preview, stderr_cut) = head(&finished.stderr.text, STDERR_PREVIEW_CHARS);
    let error = match finished.code {
        _ if finished.timed_out => Some(format!("Command timed out after {timeout_s} seconds")),
        Some(0) => None,
        Some(code) => Some(format!("Command completed with non-zero exit code: {code}")),
        None => Some("Command was killed by a signal".to_owned()),
    };
    let mut rendered = match finished.code {
        Some(code) => format!(
            "$ {command}\n(exit code {code}, {:.1} s)",
            finished.duration.as_secs_f64()
        ),
        None => format!("$ {command}\n(killed, {:.1} s)", finished.duration.as_secs_f64()),
    };
    if let Some(error) = &error {
        let _ = write!(rendered, "\n{error}");
    }
    let stdout_truncated = stdout_cut || finished.stdout.truncated;
    let stderr_truncated = stderr_cut || finished.stderr.truncated;
    for (title, text, cut) in [
        ("stdout", stdout_preview, stdout_truncated),
        ("stderr", stderr_preview, stderr_truncated),
    ] {
        if !text.is_empty() {
            let note = if cut { " (truncated)" } else { "" };
            let _ = write!(rendered, "\n\n{title}{note}:\n{}", text.trim_end_matches('\n'));
        }
    }
    let mut output = json!({
        "success": error.is_none(),
        "error": error,
        "command": command,
        "platform": platform(),
        "working_directory": directory,
        "duration_s": (finished.duration.as_secs_f64() * 1000.0).round() / 1000.0,
        "return_code": finished.code,
        "stdout": finished.stdout.text,
        "stderr": finished.stderr.text,
        "stdout_preview": stdout_preview,
        "stderr_preview": stderr_preview,
        "stdout_truncated": stdout_truncated,
        "stderr_truncated": stderr_truncated,
        "rendered": rendered,
    });
    if finished.timed_out {
        output["timeout_s"] = json!(timeout_s);
    }
    output
}

/// As Python's `platform.system()` names it.
fn platform() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}
