use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use ag_outbound::OutboundPolicy;
use ag_store::ArtifactIndex as _;
use ag_tools::{ExecPolicy, SearchEngine, SearchError, SearchHit, SearchQuery};
use ag_types::EffectKind;
use serde_json::json;

use super::*;
use crate::test_kit::{World, object, request};

mod sourced;
mod waits;

/// Made once: it reads the machine's certificates.
static HTTP: LazyLock<OutboundClient> =
    LazyLock::new(|| ToolContext::http_client(OutboundPolicy::operator()).expect("client"));

struct Engine;

#[async_trait]
impl SearchEngine for Engine {
    fn name(&self) -> &str {
        "fake"
    }
    fn source(&self) -> &str {
        "fake.test"
    }
    async fn search(&self, _: &SearchQuery) -> Result<Vec<SearchHit>, SearchError> {
        Ok(vec![SearchHit {
            title: "T".into(),
            url: "https://e.org/".into(),
            snippet: "S".into(),
        }])
    }
}

struct Bench {
    dir: tempfile::TempDir,
    world: World,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let world = World::new(vec![]).var("workspace_root", json!(dir.path().join("ws")));
        Self { dir, world }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().canonicalize().expect("canonical").join("ws")
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::create_dir_all(self.root()).expect("dir");
        std::fs::write(self.root().join(name), content).expect("write");
    }

    fn effect(&self, mode: ToolMode) -> ToolCallsEffect {
        let http = HTTP.clone();
        let workspaces = Workspaces::confined(&self.dir.path().join("home"), &[self.root()]);
        let exec = ExecPolicy::allowed([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let toolbox = Toolbox::new(exec, Some(Arc::new(Engine)));
        ToolCallsEffect::new(
            toolbox,
            ToolSettings {
                max_inline_bytes: 500,
                ..ToolSettings::new(mode, http, workspaces)
            },
        )
    }

    async fn handle(&self, mode: ToolMode, payload: Value) -> Answer {
        self.effect(mode)
            .handle(&self.world.ctx(), &request(EffectKind::ToolCalls, payload))
            .await
    }

    /// Results of a batch that must be done at once.
    async fn results(&self, mode: ToolMode, calls: Value) -> Vec<Value> {
        let answer = self.handle(mode, json!({"tool_calls": calls})).await;
        done(&answer)
    }

    /// The wait of a batch that must wait.
    async fn wait(&self, mode: ToolMode, payload: Value) -> (Wait, Answer) {
        let answer = self.handle(mode, payload).await;
        match &answer.outcome {
            Outcome::Waiting(wait) => (wait.clone(), answer),
            other => panic!("{other:?}"),
        }
    }

    async fn approve(&self, wait: Wait, payload: Value) -> ToolsDone {
        let batch = ApprovedBatch {
            wait,
            payload,
            pause: None,
        };
        self.effect(ToolMode::Approval)
            .run_approved(&self.world.ctx(), &batch)
            .await
    }
}

fn done(answer: &Answer) -> Vec<Value> {
    match &answer.outcome {
        Outcome::Done { result, .. } => {
            assert_eq!(result["mode"], "executed");
            result["results"].as_array().expect("results").clone()
        }
        other => panic!("{other:?}"),
    }
}

fn call(id: &str, name: &str, arguments: Value) -> Value {
    json!({"name": name, "arguments": arguments, "call_id": id, "runtime_call_id": format!("rt_{id}")})
}

fn failure(id: &str, name: &str, error: &str) -> Value {
    json!({"call_id": id, "runtime_call_id": format!("rt_{id}"), "name": name, "success": false, "output": null, "error": error})
}

fn write(id: &str) -> Value {
    call(id, "write_file", json!({"file_path": "o.txt", "content": id}))
}

#[tokio::test]
async fn reading_runs_at_once_and_is_kept() {
    let bench = Bench::new();
    bench.write("t.txt", "line one\nline two");
    let calls = json!([
        call("r1", "read_file", json!({"file_path": "t.txt"})),
        call("l", "list_files", json!({})),
        call("r2", "read_file", json!({"file_path": "none.txt"}))
    ]);
    let answer = bench
        .handle(ToolMode::Approval, json!({"tool_calls": calls}))
        .await;
    let results = done(&answer);
    let root = bench.root();
    assert_eq!(
        results[0],
        json!({"call_id": "r1", "runtime_call_id": "rt_r1", "name": "read_file", "success": true, "error": null,
            "output": format!("File: {}/t.txt (2 lines)\n\n1: line one\n2: line two", root.display())})
    );
    assert_eq!(results[1]["name"], "list_files");
    assert_eq!(
        (&results[2]["success"], &results[2]["output"]),
        (&json!(false), &Value::Null)
    );
    assert!(matches!(&answer.outcome, Outcome::Done { state: None, .. }));
    let [row] = answer.artifacts.as_slice() else {
        panic!("{:?}", answer.artifacts)
    };
    assert_eq!(
        (row.run_id.as_deref(), row.session_id.as_deref()),
        (Some("session_memory_s1"), Some("s1"))
    );
    assert!(row.meta.contains(r#""path":"t.txt""#), "{}", row.meta);
    assert_eq!(answer.owners.len(), 1);
    assert_eq!(answer.owners[0].owner_id, "session_memory_s1");
}

#[tokio::test]
async fn refused_calls_alone_end_at_once() {
    let bench = Bench::new();
    let calls = json!([
        call("z", "read_file", json!({"file_path": "/etc/hostname"})),
        3,
        write("w")
    ]);
    for mode in [
        ToolMode::Approval,
        ToolMode::Passthrough,
        ToolMode::Delegated,
        ToolMode::Local,
    ] {
        let answer = bench
            .handle(mode, json!({"tool_calls": calls, "allowed_tools": ["read_file"]}))
            .await;
        let errors: Vec<Value> = done(&answer)
            .iter()
            .map(|result| result["error"].clone())
            .collect();
        let expected = [
            "Path is outside workspace roots: '/etc/hostname'",
            "Invalid tool call (expected an object)",
            "Tool 'write_file' is not allowed for this node",
        ];
        assert_eq!(errors, expected, "{mode:?}");
    }
    assert_eq!(
        bench.results(ToolMode::Delegated, json!([])).await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn attachments_serve_paths_that_the_workspace_does_not_have() {
    let bench = Bench::new();
    let tags = [
        ("kind", "attachment"),
        ("path", "client:notes.txt"),
        ("filename", "notes.txt"),
    ];
    bench
        .world
        .artifact("text/plain", &tags, b"hello", "session_memory_s1")
        .await;
    // One path is refused, the other one merely missing.
    let calls = json!([
        call("a", "read_file", json!({"file_path": "/home/me/notes.txt"})),
        call("b", "read_file", json!({"file_path": "notes.txt"})),
        call("c", "read_file", json!({"file_path": "/etc/hostname"}))
    ]);
    let results = bench.results(ToolMode::Approval, calls).await;
    for result in &results[..2] {
        assert_eq!(
            (&result["name"], &result["success"]),
            (&json!("read_file"), &json!(true)),
            "{result}"
        );
        assert_eq!(result["output"]["content_text"], "hello");
    }
    assert_eq!(
        results[2]["error"],
        "Path is outside workspace roots: '/etc/hostname'"
    );
}

#[tokio::test]
async fn large_outputs_give_way_to_the_attachment() {
    let bench = Bench::new();
    bench.write("big.txt", &"x".repeat(600));
    let answer = bench
        .handle(
            ToolMode::Local,
            json!({"tool_calls": [call("r", "read_file", json!({"file_path": "big.txt"}))]}),
        )
        .await;
    let output = done(&answer)[0]["output"].as_str().expect("text").to_owned();
    let id = &answer.artifacts[0].artifact_id;
    assert!(
        output.starts_with(&format!(
            "[read_file]: (stored as attachment) @big.txt (id={id}, sha="
        )),
        "{output}"
    );
    let (wait, _) = bench
        .wait(
            ToolMode::Passthrough,
            json!({"tool_calls": [call("r", "read_file", json!({"file_path": "big.txt"}))]}),
        )
        .await;
    let approved = bench.approve(wait, json!({"approved": true})).await;
    assert!(
        approved.stored["results"][0]["output"]
            .as_str()
            .is_some_and(|text| text.starts_with("File:"))
    );
    assert!(approved.artifacts.is_empty(), "only what runs at once is kept");
}

#[tokio::test]
async fn a_call_sees_what_an_earlier_one_has_written() {
    let bench = Bench::new();
    let read = |id: &str| call(id, "read_file", json!({"file_path": "o.txt"}));
    let results = bench
        .results(
            ToolMode::Local,
            json!([
                read("r0"),
                write("w1"),
                read("r1"),
                read("r2"),
                write("w2"),
                read("r3")
            ]),
        )
        .await;
    let ids: Vec<&str> = results
        .iter()
        .filter_map(|result| result["call_id"].as_str())
        .collect();
    assert_eq!(ids, ["r0", "w1", "r1", "r2", "w2", "r3"]);
    assert_eq!(results[0]["success"], false);
    for (index, content) in [(2, "1: w1"), (3, "1: w1"), (5, "1: w2")] {
        assert!(
            results[index]["output"]
                .as_str()
                .is_some_and(|text| text.ends_with(content)),
            "{}",
            results[index]
        );
    }
}

#[tokio::test]
async fn the_state_keeps_references_where_the_ledger_keeps_the_text() {
    let bench = Bench::new();
    let calls = json!([
        call(
            "e",
            "execute_command",
            json!({"command": "printf out; printf err >&2; exit 3"})
        ),
        call("s", "web_search", json!({"query": "x"}))
    ]);
    let answer = bench.handle(ToolMode::Local, json!({"tool_calls": calls})).await;
    let Outcome::Done {
        result,
        state: Some(state),
    } = &answer.outcome
    else {
        panic!("{:?}", answer.outcome)
    };
    let command = &result["results"][0];
    assert_eq!(
        (&command["output"]["stdout"], &command["error"]),
        (
            &json!("out"),
            &json!("Command completed with non-zero exit code: 3")
        )
    );
    assert!(command.get("meta").is_none());
    let kept = &state["results"][0]["output"];
    assert!(kept.get("stdout").is_none() && kept.get("stderr").is_none());
    assert_eq!(kept["stdout_preview"], "out");
    for row in &answer.artifacts {
        bench
            .world
            .store
            .put_artifact(&bench.world.scope, row.clone())
            .await
            .expect("row");
    }
    let id = kept["stdout_artifact"]["$artifact"].as_str().expect("id");
    assert!(
        bench
            .world
            .store
            .artifact(&bench.world.scope, id)
            .await
            .expect("store")
            .is_some()
    );
    assert_eq!(answer.artifacts.len(), 5);
    assert_eq!((answer.changes.len(), answer.memory.len()), (0, 2));
}

#[tokio::test]
async fn unusable_requests_fail_the_effect() {
    let bench = Bench::new();
    let failed = |answer: Answer| match answer.outcome {
        Outcome::Failed(error) => error,
        other => panic!("{other:?}"),
    };
    for payload in [json!({}), json!({"tool_calls": "x"})] {
        let answer = bench.handle(ToolMode::Local, payload).await;
        assert_eq!(failed(answer), "tool_calls requires payload.tool_calls (list)");
    }
    bench.write("file", "x");
    for (root, start) in [
        (
            bench.root().join("file"),
            "workspace_root must be a directory (got file): ",
        ),
        ("/etc".into(), "workspace_root is outside workspace roots: /etc"),
    ] {
        let world = World::new(vec![]).var("workspace_root", json!(root));
        let answer = bench
            .effect(ToolMode::Local)
            .handle(
                &world.ctx(),
                &request(EffectKind::ToolCalls, json!({"tool_calls": []})),
            )
            .await;
        let error = failed(answer);
        assert!(error.starts_with(start), "{error}");
        let details = json!({"mode": "approval_required", "tool_calls": [write("w")]});
        let wait = Wait {
            details: Some(details),
            ..Wait::new(WaitReason::User, None)
        };
        let batch = ApprovedBatch {
            wait,
            payload: json!({"approved": true}),
            pause: None,
        };
        let done = bench
            .effect(ToolMode::Local)
            .run_approved(&world.ctx(), &batch)
            .await;
        let error = done.stored["results"][0]["error"].as_str().expect("error");
        assert!(
            error.starts_with("Tool execution failed: workspace_root"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_cancel_ends_a_command() {
    let bench = Bench::new();
    let started = Instant::now();
    bench.world.cancel.cancel();
    let results = bench
        .results(
            ToolMode::Local,
            json!([call("e", "execute_command", json!({"command": "sleep 60"}))]),
        )
        .await;
    assert_eq!(results[0]["error"], "Tool call cancelled");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_call_beyond_its_time_fails_alone() {
    let bench = Bench::new();
    let mut effect = bench.effect(ToolMode::Local);
    effect.settings.timeout = Duration::from_millis(50);
    let calls = json!([
        call("e", "execute_command", json!({"command": "sleep 60"})),
        call("l", "web_search", json!({"query": "x"}))
    ]);
    let answer = effect
        .handle(
            &bench.world.ctx(),
            &request(EffectKind::ToolCalls, json!({"tool_calls": calls})),
        )
        .await;
    let results = done(&answer);
    assert_eq!(results[0]["error"], "Tool timeout after 0.05s");
    assert_eq!(results[1]["success"], true);
    assert_eq!(object(results[1].clone())["call_id"], "l");
}
