use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use crate::{ToolCall, ToolContext};

#[tokio::test]
async fn commands_run_with_a_small_environment() {
    let bench = Bench::new();
    let result = bench
        .call(
            "execute_command",
            json!({"command": "pwd; env; echo oops >&2; exit 3"}),
        )
        .await;
    assert_eq!(
        result.error.as_deref(),
        Some("Command completed with non-zero exit code: 3")
    );
    assert!(!result.success);
    let output = &result.output;
    assert_eq!(
        (&output["return_code"], &output["success"]),
        (&json!(3), &json!(false))
    );
    assert_eq!(output["stderr"], "oops\n");
    let stdout = output["stdout"].as_str().expect("stdout");
    assert!(
        stdout.starts_with(&bench.root.display().to_string()) && stdout.contains("LANG=C.UTF-8"),
        "{stdout}"
    );
    assert!(!stdout.contains("sk-secret"), "{stdout}");
    let refused = bench
        .error("execute_command", json!({"command": "rm -rf ."}))
        .await;
    assert!(
        refused.starts_with("Command refused as dangerous (recursive or forced rm)"),
        "{refused}"
    );
    bench.write("d/f", "x");
    assert!(
        bench
            .call(
                "execute_command",
                json!({"command": "rm -r d", "allow_dangerous": true})
            )
            .await
            .success
    );
    assert!(!bench.root.join("d").exists());
    let silent = bench
        .call(
            "execute_command",
            json!({"command": "echo x", "capture_output": false}),
        )
        .await;
    assert_eq!(silent.output["stdout"], "");
    assert_eq!(
        bench
            .error(
                "execute_command",
                json!({"command": "ls", "working_directory": "ghost"})
            )
            .await,
        "Working directory 'W/ghost' does not exist"
    );
}

#[tokio::test]
async fn long_output_is_cut() {
    let bench = Bench::new();
    let result = bench
        .call(
            "execute_command",
            json!({"command": "head -c 3000000 /dev/zero | tr '\\0' x"}),
        )
        .await;
    assert!(result.success, "{:?}", result.error);
    assert_eq!(result.output["stdout"].as_str().map(str::len), Some(1024 * 1024));
    assert_eq!(
        result.output["stdout_preview"].as_str().map(str::len),
        Some(20_000)
    );
    assert_eq!(result.output["stdout_truncated"], true);
    assert_eq!(result.output["stderr_truncated"], false);
}

/// A fifo that a child keeps open tells when that child is gone: reading it then ends.
async fn gone(fifo: PathBuf) {
    let read = tokio::task::spawn_blocking(move || std::fs::read(fifo));
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("child is gone")
        .expect("join")
        .expect("read");
}

#[tokio::test]
async fn a_command_that_takes_too_long_ends_with_its_children() {
    let bench = Bench::new();
    bench.write("ready", "");
    let fifo = bench.root.join("alive");
    let made = bench
        .call("execute_command", json!({"command": "mkfifo alive"}))
        .await;
    assert!(made.success, "{:?}", made.error);
    let watcher = tokio::spawn(gone(fifo));
    // The grandchild holds the fifo and would live for an hour.
    let command = "(sleep 3600 > alive) & sleep 3600";
    let started = Instant::now();
    let result = bench
        .call("execute_command", json!({"command": command, "timeout": 1}))
        .await;
    assert_eq!(result.error.as_deref(), Some("Command timed out after 1 seconds"));
    assert_eq!(result.output["timeout_s"], 1);
    assert!(started.elapsed() < Duration::from_secs(8));
    watcher.await.expect("children are gone");
}

#[tokio::test]
async fn a_cancelled_call_ends_its_command() {
    let bench = Bench::new();
    assert!(
        bench
            .call("execute_command", json!({"command": "mkfifo alive started"}))
            .await
            .success
    );
    let watcher = tokio::spawn(gone(bench.root.join("alive")));
    let started = tokio::spawn(gone(bench.root.join("started")));
    let cancel = bench.ctx.cancel.clone();
    // Cancelled as soon as the command says that it runs.
    tokio::spawn(async move {
        let _ = started.await;
        cancel.cancel();
    });
    let result = bench
        .call(
            "execute_command",
            json!({"command": "exec 3> alive; echo > started; sleep 3600"}),
        )
        .await;
    assert_eq!(result.error.as_deref(), Some("Tool call cancelled"));
    watcher.await.expect("command is gone");
}

#[tokio::test]
async fn a_background_child_does_not_hold_the_call() {
    let bench = Bench::new();
    let started = Instant::now();
    let result = bench
        .call("execute_command", json!({"command": "echo done; sleep 3600 &"}))
        .await;
    assert_eq!(result.output["stdout"], "done\n");
    assert!(result.success && started.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_tool_has_a_time_limit() {
    let bench = Bench::new();
    let ctx = ToolContext {
        timeout: Duration::from_millis(50),
        ..bench.ctx.clone()
    };
    let call =
        ToolCall::from_value(&json!({"name": "execute_command", "arguments": {"command": "sleep 60"}}))
            .expect("call");
    let result = bench.toolbox.execute(&call, &ctx).await;
    assert_eq!(result.error.as_deref(), Some("Tool timeout after 0.05s"));
}
