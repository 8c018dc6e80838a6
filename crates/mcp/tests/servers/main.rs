//! Real servers: a child process over its standard streams, and one over HTTP in this process.

mod http;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ag_mcp::{McpConfig, McpServer};
use ag_outbound::OutboundPolicy;
use ag_tools::workspace::{AccessMode, WorkspacePolicy};
use ag_tools::{ExecPolicy, ToolCall, ToolContext, ToolResult, Toolbox};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[expect(
    clippy::disallowed_methods,
    reason = "where python3 is found differs between machines"
)]
fn servers(entries: &Value) -> Vec<Arc<McpServer>> {
    let text = json!({ "mcpServers": entries }).to_string();
    let config = McpConfig::parse(&text, |_| None).expect("config");
    let path = std::env::var_os("PATH")
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let variables = vec![("PATH".to_owned(), path)];
    let make = |server| Arc::new(McpServer::new(server, variables.clone()));
    config.servers.into_iter().map(make).collect()
}

fn toolbox(servers: &[Arc<McpServer>]) -> Toolbox {
    let sources = servers.iter().map(|server| Arc::clone(server) as _);
    Toolbox::new(ExecPolicy::forbidden(), None).with_sources(sources)
}

fn child(entry: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/child.py");
    let mut server = json!({"command": "python3", "args": [script], "env": {"OWN": "x"}});
    for (key, value) in entry.as_object().expect("object") {
        server[key] = value.clone();
    }
    server
}

async fn call(toolbox: &Toolbox, name: &str, arguments: Value, ctx: &ToolContext) -> ToolResult {
    let call = json!({"name": name, "arguments": arguments, "call_id": "c1"});
    toolbox
        .execute(&ToolCall::from_value(&call).expect("call"), ctx)
        .await
}

fn context(dir: &Path) -> ToolContext {
    ToolContext {
        workspace: Arc::new(WorkspacePolicy::new(dir, AccessMode::WorkspaceOnly, &[], &[])),
        cancel: CancellationToken::new(),
        timeout: Duration::from_secs(20),
        http: ToolContext::http_client(OutboundPolicy::operator()).expect("client"),
        timestamp: String::new(),
    }
}

fn text(result: &ToolResult) -> &str {
    result.output.as_str().unwrap_or_default()
}

fn error(result: &ToolResult) -> &str {
    assert!(!result.success, "{:?}", result.output);
    result.error.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_child_process() {
    let dir = tempfile::tempdir().expect("folder");
    let ctx = context(dir.path());
    let tools = json!({"tools": ["echo", "env", "die", "big", "draw"], "autoApprove": ["echo"]});
    let servers = servers(&json!({"local": child(&tools)}));
    let toolbox = toolbox(&servers);
    assert_eq!(toolbox.auto_approved(), ["mcp::local::echo"]);
    assert!(
        toolbox.sourced().is_empty(),
        "nothing is known before the first look"
    );
    assert_eq!(servers[0].refresh().await, Ok(5));
    let names: Vec<String> = toolbox.sourced().into_iter().map(|tool| tool.name).collect();
    assert_eq!(
        names,
        [
            "mcp::local::big",
            "mcp::local::die",
            "mcp::local::draw",
            "mcp::local::echo",
            "mcp::local::env"
        ]
    );
    let item = toolbox.sourced()[3].discovery();
    assert_eq!(item["toolset"], "mcp:local");
    assert_eq!(
        item["parameters"]["times"],
        json!({"type": "integer", "default": 1})
    );

    let result = call(
        &toolbox,
        "mcp::local::echo",
        json!({"text": "hi", "times": 2}),
        &ctx,
    )
    .await;
    assert_eq!((result.success, text(&result)), (true, "hihi"));
    let result = call(&toolbox, "mcp::local::draw", json!({}), &ctx).await;
    assert_eq!(text(&result), "here\n[image image/png, 6 bytes]");
    assert_eq!(
        (result.media[0].content_type.as_str(), &result.media[0].data[..]),
        ("image/png", &b"\x89PNG"[..])
    );
    let result = call(&toolbox, "mcp::local::echo", json!({}), &ctx).await;
    assert_eq!(error(&result), "text is missing");
    // The service's own environment stays here.
    let result = call(&toolbox, "mcp::local::env", json!({}), &ctx).await;
    assert!(
        text(&result).contains("OWN") && text(&result).contains("PATH"),
        "{}",
        text(&result)
    );
    assert!(!text(&result).contains("CARGO"), "{}", text(&result));
    // What is not listed is not called, even if the server has it.
    for name in ["mcp::local::hidden", "mcp::local::nope"] {
        let result = call(&toolbox, name, json!({}), &ctx).await;
        assert_eq!(error(&result), format!("Tool '{name}' not found"));
    }
    let result = call(&toolbox, "mcp::local::big", json!({}), &ctx).await;
    assert!(text(&result).len() < 1_100_000 && text(&result).ends_with("(cut: 3000000 bytes in all)"));
    // A server that died under a call is started again for the next one.
    let result = call(&toolbox, "mcp::local::die", json!({}), &ctx).await;
    assert!(
        error(&result).contains("may have been carried out"),
        "{:?}",
        result.error
    );
    let result = call(&toolbox, "mcp::local::echo", json!({"text": "again"}), &ctx).await;
    assert_eq!(text(&result), "again", "{:?}", result.error);
}

#[tokio::test]
async fn time_and_cancel_reach_the_server() {
    let dir = tempfile::tempdir().expect("folder");
    let mark = dir.path().join("mark");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/child.py");
    let server = |timeout: f64| json!({"command": "python3", "args": [script, mark], "timeoutS": timeout});
    let servers = servers(&json!({"slow": server(0.2), "patient": server(60.0)}));
    let toolbox = toolbox(&servers);
    for server in &servers {
        server.refresh().await.expect("list");
    }
    let ctx = context(dir.path());
    let result = call(&toolbox, "mcp::slow::sleep", json!({}), &ctx).await;
    assert_eq!(error(&result), "Tool timeout after 0.2s");
    wait_for(&mark).await;
    std::fs::remove_file(&mark).expect("mark");

    let started = Instant::now();
    let cancel = ctx.cancel.clone();
    let (result, ()) = tokio::join!(call(&toolbox, "mcp::patient::sleep", json!({}), &ctx), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    assert_eq!(error(&result), "Tool call cancelled");
    assert!(started.elapsed() < Duration::from_secs(1));

    // The context's own limit is the shorter one.
    let ctx = ToolContext {
        timeout: Duration::from_millis(300),
        ..context(dir.path())
    };
    let result = call(&toolbox, "mcp::patient::sleep", json!({}), &ctx).await;
    assert_eq!(error(&result), "Tool timeout after 0.3s");
    wait_for(&mark).await;
}

/// The child writes the mark when it is told.
async fn wait_for(mark: &Path) {
    let there = async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), there)
        .await
        .expect("the server was told");
}

#[tokio::test]
async fn servers_that_are_not_there() {
    let dir = tempfile::tempdir().expect("folder");
    let ctx = context(dir.path());
    let servers = servers(&json!({
        "missing": {"command": "/no/such/program"},
        "refused": {"url": "http://127.0.0.1:1/mcp"},
        "inner": {"url": "http://169.254.169.254/mcp"},
    }));
    let toolbox = toolbox(&servers);
    for (name, words) in [
        ("missing", "cannot be started"),
        ("refused", "cannot be reached"),
        ("inner", "outbound address not allowed"),
    ] {
        let result = call(&toolbox, &format!("mcp::{name}::x"), json!({}), &ctx).await;
        assert!(error(&result).contains(words), "{:?}", result.error);
        assert!(error(&result).starts_with(&format!("MCP server '{name}' cannot be reached: ")));
    }
    let result = call(&toolbox, "mcp::unknown::x", json!({}), &ctx).await;
    assert_eq!(error(&result), "Tool 'mcp::unknown::x' not found");
}
