use std::path::PathBuf;

use ag_outbound::OutboundPolicy;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::workspace::{AccessMode, WorkspacePolicy, rewrite_arguments};

mod exec;
mod web;

struct Bench {
    _dir: tempfile::TempDir,
    root: PathBuf,
    toolbox: Toolbox,
    ctx: ToolContext,
}

impl Bench {
    fn new() -> Self {
        Self::with(OutboundPolicy::operator())
    }

    fn with(policy: OutboundPolicy) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let workspace = WorkspacePolicy::new(&dir.path().join("ws"), AccessMode::WorkspaceOnly, &[], &[]);
        let root = workspace.root().to_path_buf();
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("API_KEY", "sk-secret"),
            ("LANG", "C.UTF-8"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            _dir: dir,
            root,
            toolbox: Toolbox::new(ExecPolicy::allowed(variables), None),
            ctx: ToolContext {
                workspace: Arc::new(workspace),
                cancel: CancellationToken::new(),
                timeout: ToolContext::DEFAULT_TIMEOUT,
                http: ToolContext::http_client(policy).expect("client"),
                timestamp: "2026-01-02T03:04:05+00:00".to_owned(),
            },
        }
    }

    /// As a batch would: arguments rewritten first.
    async fn call(&self, name: &str, arguments: Value) -> ToolResult {
        let mut call = ToolCall::from_value(&json!({"name": name, "arguments": arguments, "call_id": "c"}))
            .expect("call");
        if let Err(error) = rewrite_arguments(&self.ctx.workspace, name, &mut call.arguments) {
            return ToolResult::failure(&call, error.to_string());
        }
        self.toolbox.execute(&call, &self.ctx).await
    }

    async fn text(&self, name: &str, arguments: Value) -> String {
        let result = self.call(name, arguments).await;
        assert!(result.success, "{name}: {:?}", result.error);
        result
            .output
            .as_str()
            .expect("text")
            .replace(&self.root.display().to_string(), "W")
    }

    async fn error(&self, name: &str, arguments: Value) -> String {
        let result = self.call(name, arguments).await;
        assert!(!result.success, "{name}: {}", result.output);
        result
            .error
            .expect("error")
            .replace(&self.root.display().to_string(), "W")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("dirs");
        std::fs::write(path, content).expect("write");
    }
}

/// The recorded texts.
#[tokio::test]
async fn files_are_written_read_and_edited() {
    let bench = Bench::new();
    let written = bench
        .text(
            "write_file",
            json!({"file_path": "t.txt", "content": "line one\nline two"}),
        )
        .await;
    assert_eq!(
        written,
        "✅ Successfully written to 'W/t.txt' (17 bytes, 2 lines)"
    );
    let read = bench.text("read_file", json!({"file_path": "t.txt"})).await;
    assert_eq!(read, "File: W/t.txt (2 lines)\n\n1: line one\n2: line two");
    let appended = bench
        .text(
            "write_file",
            json!({"path": "sub/t.txt", "content": "x", "mode": "a"}),
        )
        .await;
    assert_eq!(
        appended,
        "✅ Successfully appended to 'W/sub/t.txt' (1 bytes, 1 lines)"
    );
    let edited = bench
        .text(
            "edit_file",
            json!({"file_path": "t.txt", "pattern": "two", "replacement": "2"}),
        )
        .await;
    assert!(
        edited.starts_with("Edited 'W/t.txt': 1 replacement (+1 -1 lines)"),
        "{edited}"
    );
    let preview = json!({"file_path": "t.txt", "pattern": "one", "replacement": "1", "preview_only": "true"});
    assert!(
        bench
            .text("edit_file", preview)
            .await
            .contains("Nothing was written")
    );
    assert_eq!(
        std::fs::read_to_string(bench.root.join("t.txt")).expect("read"),
        "line one\nline 2"
    );
    let diff = json!({"file_path": "t.txt", "pattern": "@@ -1,2 +1,2 @@\n-line one\n+first\n line 2\n"});
    assert!(bench.text("edit_file", diff).await.contains("1 hunk applied"));
    bench.write("a.py", "def f():\n    return 1\n");
    let broken = json!({"file_path": "a.py", "pattern": "def f():", "replacement": "def f(:"});
    let error = bench.error("edit_file", broken).await;
    assert!(
        error.starts_with("Edit refused: 'W/a.py' would no longer be valid Python (line 1: "),
        "{error}"
    );
}

#[tokio::test]
async fn refusals_and_failures_are_results() {
    let bench = Bench::new();
    bench.write("build/out.txt", "x");
    bench.write("t.txt", "x");
    let cases = [
        ("no_such_tool", json!({}), "Tool 'no_such_tool' not found"),
        (
            "read_file",
            json!({"file_path": "none.txt"}),
            "File 'W/none.txt' does not exist",
        ),
        (
            "read_file",
            json!({"file_path": "/etc/hostname"}),
            "Path is outside workspace roots: '/etc/hostname'",
        ),
        (
            "read_file",
            json!({"file_path": "../x"}),
            "Path escapes workspace_root: '../x'",
        ),
        (
            "read_file",
            json!({"file_path": "build/out.txt"}),
            "File 'W/build/out.txt' is ignored by .abstractignore policy",
        ),
        (
            "write_file",
            json!({"file_path": "build/x", "content": "x"}),
            "File 'W/build/x' is ignored by .abstractignore policy",
        ),
        (
            "write_file",
            json!({"file_path": "t.txt"}),
            "write_file() missing 1 required positional argument: 'content'",
        ),
        ("read_file", json!({}), "read_file requires file_path"),
        (
            "list_files",
            json!({"directory_path": "ghost"}),
            "Directory 'W/ghost' does not exist",
        ),
        (
            "search_files",
            json!({"pattern": "x", "path": "ghost"}),
            "Path 'W/ghost' does not exist",
        ),
        (
            "analyze_code",
            json!({"file_path": "t.txt"}),
            "Unsupported code language for 't.txt'. Supported: python, javascript, typescript, rust, r, html",
        ),
        (
            "web_search",
            json!({"query": "x"}),
            "web search is not configured",
        ),
        (
            "open_attachment",
            json!({}),
            "open_attachment is executed by the runtime",
        ),
    ];
    for (tool, arguments, expected) in cases {
        assert_eq!(bench.error(tool, arguments).await, expected, "{tool}");
    }
    assert!(
        bench
            .error("search_files", json!({"pattern": "("}))
            .await
            .starts_with("Invalid regex pattern '('")
    );
    let without = Toolbox::new(ExecPolicy::forbidden(), None);
    let call = ToolCall::from_value(&json!({"name": "execute_command", "arguments": {"command": "id"}}))
        .expect("call");
    assert_eq!(
        without.execute(&call, &bench.ctx).await.error.as_deref(),
        Some("Tool 'execute_command' not found")
    );
}

/// A recorded wait may be old: the policy is asked again before the tool runs.
#[tokio::test]
async fn stored_absolute_paths_are_judged_again() {
    let bench = Bench::new();
    bench.write("t.txt", "x");
    std::os::unix::fs::symlink("/etc/hostname", bench.root.join("link")).expect("link");
    let path = bench.root.join("link").display().to_string();
    for (tool, arguments) in [
        ("read_file", json!({"file_path": path})),
        ("write_file", json!({"file_path": path, "content": "x"})),
        ("skim_files", json!({"paths": [path]})),
        ("search_files", json!({"pattern": ".", "path": path})),
    ] {
        let call = ToolCall::from_value(&json!({"name": tool, "arguments": arguments})).expect("call");
        let error = bench
            .toolbox
            .execute(&call, &bench.ctx)
            .await
            .error
            .expect("refused");
        assert!(
            error.contains("Path is outside workspace roots"),
            "{tool}: {error}"
        );
    }
    let found = bench.text("search_files", json!({"pattern": "."})).await;
    assert!(!found.contains("link"), "{found}");
    assert!(!bench.text("list_files", json!({})).await.contains("link"));
}

#[tokio::test]
async fn folders_are_listed_and_searched() {
    let bench = Bench::new();
    for (path, content) in [
        (
            "a.py",
            "import os\n\nclass A:\n    def f(self):\n        return os\n",
        ),
        ("sub/c.json", "{}"),
        ("sub/README.md", "# Title\nneedle here\nand Needle there\n"),
        (".hidden/x.txt", "needle"),
        ("node_modules/y.js", "needle"),
    ] {
        bench.write(path, content);
    }
    assert_eq!(
        bench.text("list_files", json!({})).await,
        "Entries in 'W' matching '*' (hidden entries excluded):\n  sub/\n  a.py (55 bytes)"
    );
    let limited = bench
        .text(
            "list_files",
            json!({"recursive": true, "pattern": "*.md|*.json", "head_limit": "1"}),
        )
        .await;
    assert!(
        limited.contains("\n  sub/c.json (2 bytes)\n(showing 1 of 2 entries)\n"),
        "{limited}"
    );
    assert_eq!(
        bench.text("list_files", json!({"pattern": "*.zip"})).await,
        "Directory 'W' exists but no entries match pattern '*.zip'"
    );
    assert_eq!(
        bench.text("skim_folders", json!({"paths": ["."]})).await,
        "Folder: W - depth<=4 (showing 2 dirs)\n./ (1 dirs, 1 files; types .py:1) - samples: a.py\n\
         sub/ (0 dirs, 2 files; types .json:1, .md:1) - samples: README.md, c.json\nNotable files:\n  sub/README.md"
    );
    assert_eq!(
        bench.text("search_files", json!({"pattern": "needle"})).await,
        "Search results for pattern 'needle' under 'W' in 1 files:\n\nsub/README.md:\n    2: needle here"
    );
    let both = bench
        .text("search_files", json!({"pattern": "(?i)NEEDLE", "max_hits": 1}))
        .await;
    assert!(
        both.ends_with("    2: needle here\n    (more matches in this file)"),
        "{both}"
    );
    let spanning = bench
        .text(
            "search_files",
            json!({"pattern": "needle.*there", "multiline": true, "path": "sub"}),
        )
        .await;
    assert!(spanning.ends_with("README.md:\n    2: needle here"), "{spanning}");
    assert_eq!(
        bench.text("search_files", json!({"pattern": "zzz"})).await,
        "No matches found for pattern 'zzz'"
    );
    let outline = bench.text("analyze_code", json!({"file_path": "a.py"})).await;
    assert!(
        outline.contains("Outline of 'W/a.py' (python, 5 lines)"),
        "{outline}"
    );
    assert!(
        outline.contains("3-5: class A\n    4-5: def f(self)"),
        "{outline}"
    );
    let skimmed = bench
        .text("skim_files", json!({"paths": ["sub/README.md", "none"]}))
        .await;
    assert!(
        skimmed.contains("skim 3 lines (target 8.0%)")
            && skimmed.contains("W/none: File 'W/none' does not exist"),
        "{skimmed}"
    );
}
