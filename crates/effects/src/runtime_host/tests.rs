use std::time::Duration;

use ag_artifacts::{MemoryBlobs, NewArtifact};
use ag_sandbox::{MontySandbox, SandboxOptions};
use ag_types::{RunState, SystemClock};
use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::{outages::SickBlobs, test_kit::World};

struct Listed;

#[async_trait]
impl ModelCatalogues for Listed {
    async fn answer(
        &self,
        _: &TenantScope,
        call: &HostCall,
        _: &CancellationToken,
    ) -> Result<Value, HostFailure> {
        Ok(json!([format!("{:?}", call.op), call.args]))
    }
}

struct Bench {
    dir: tempfile::TempDir,
    world: World,
    host: RuntimeHost,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let world = World::new(vec![]);
        let host = RuntimeHost::new(HostParts {
            sandbox: Arc::new(MontySandbox::new(SandboxOptions::default())),
            limits: Limits {
                wall_time: Duration::from_secs(5),
                ..Limits::default()
            },
            workspaces: Some(Workspaces::confined(
                &dir.path().join("home"),
                &[dir.path().join("ws")],
            )),
            index: world.store.clone(),
            blobs: Arc::<MemoryBlobs>::default(),
            catalogues: Arc::new(Listed),
            clock: Arc::new(SystemClock),
            max_attachment_bytes: 100,
        });
        Self { dir, world, host }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("ws").join(name)
    }

    async fn artifact(&self, content_type: &str, content: &[u8]) -> String {
        let new = NewArtifact {
            content_type: content_type.to_owned(),
            ..NewArtifact::default()
        };
        let content = Bytes::copy_from_slice(content);
        let (blobs, now) = (&*self.host.parts.blobs, SystemClock.now());
        let stored = crate::artifacts::store_artifact(blobs, &self.world.scope, new, content, now).await;
        let (meta, row) = stored.expect("stored");
        self.world
            .store
            .put_artifact(&self.world.scope, row)
            .await
            .expect("row");
        meta.artifact_id
    }

    async fn ask_of(&self, host: &RuntimeHost, op: HostOp, mut args: Value) -> Result<Value, HostFailure> {
        if args.get("scope").is_none() {
            args["scope"] = json!({"workspace_root": self.path("")});
        }
        let call = HostCall {
            op,
            node_id: "n".to_owned(),
            args,
        };
        let run: &RunState = &self.world.run;
        let question = HostQuestion {
            scope: &self.world.scope,
            run,
            call: &call,
            cancel: &self.world.cancel,
        };
        host.answer(question).await
    }

    async fn ask(&self, op: HostOp, args: Value) -> Result<Value, HostFailure> {
        self.ask_of(&self.host, op, args).await
    }

    async fn error(&self, op: HostOp, args: Value) -> String {
        self.ask(op, args).await.expect_err("fails").to_string()
    }
}

#[tokio::test]
async fn code_answers_in_an_envelope() {
    let bench = Bench::new();
    let run = async |args: Value| {
        let mut answer = bench.ask(HostOp::RunCode, args).await.expect("answer");
        let execution = answer
            .as_object_mut()
            .and_then(|map| map.shift_remove("execution"))
            .expect("execution");
        assert!(execution["permissions"].is_string());
        answer
    };
    for (args, expected) in [
        (
            json!({"code_body": "return {\"n\": a + my_pin}", "function_name": "f", "pins": ["a", "my-pin", "permissions"],
                "input": {"a": 1, "my-pin": 2}, "permissions": "sandbox"}),
            json!({"ok": true, "value": {"n": 3}}),
        ),
        (
            json!({"code_body": "", "pins": [], "input": {"a": [1]}}),
            json!({"ok": true, "value": {"a": [1]}}),
        ),
        (
            json!({"code": "def transform(i):\n    return i['a']", "function_name": "transform", "pins": [], "input": {"a": 1}}),
            json!({"ok": true, "value": 1}),
        ),
        (
            json!({"code": "import os", "input": {}}),
            json!({"ok": false, "error": "Imports are not allowed"}),
        ),
        (
            json!({"code": "x = 1", "function_name": "g"}),
            json!({"ok": false, "error": "Function 'g' not defined in code"}),
        ),
        (
            json!({"code_body": "return set([1])", "input": {}}),
            json!({"ok": false, "unserialisable": "set"}),
        ),
    ] {
        assert_eq!(run(args.clone()).await, expected, "{args}");
    }
    let expression = async |text: &str| {
        bench
            .ask(
                HostOp::RunExpression,
                json!({"expression": text, "input": {"a": 2}}),
            )
            .await
            .expect("answer")
    };
    assert_eq!(expression("a * 2").await, json!({"ok": true, "value": 4}));
    assert_eq!(
        expression("{'ok': True, 'value': 1}").await,
        json!({"ok": true, "value": {"ok": true, "value": 1}})
    );
    assert_eq!(expression("b").await["ok"], false);
}

#[tokio::test]
async fn files_round_trip_inside_the_workspace() {
    let bench = Bench::new();
    let args = json!({"node_type": "write_file", "file_path": "out/d.json", "content": {"k": [1]}});
    let written = bench.ask(HostOp::WriteFile, args).await.expect("written");
    assert_eq!(written, json!({"bytes": 23, "file_path": "out/d.json"}));
    let read = bench
        .ask(
            HostOp::ReadFile,
            json!({"node_type": "read_file", "file_path": "out/d.json"}),
        )
        .await;
    assert_eq!(
        read.expect("read"),
        json!({"content": {"k": [1]}, "file_path": "out/d.json"})
    );
    let args = json!({"node_type": "list_folder_files", "folder_path": ".", "recursive": true});
    let listing = bench.ask(HostOp::ListFolder, args).await.expect("listing");
    assert_eq!(
        (&listing["files"], &listing["count"]),
        (&json!(["out/d.json"]), &json!(1))
    );
    let empty = json!({"node_type": "write_file", "file_path": "n.txt"});
    assert_eq!(
        bench.ask(HostOp::WriteFile, empty).await.expect("written")["bytes"],
        0
    );
}

#[tokio::test]
async fn refusals_have_class_and_text() {
    let bench = Bench::new();
    for (op, args, expected) in [
        (
            HostOp::ReadFile,
            json!({"node_type": "read_file", "file_path": "/etc/hostname"}),
            "ValueError: read_file path rejected by workspace policy: path is outside workspace roots",
        ),
        (
            HostOp::WriteFile,
            json!({"node_type": "write_file", "file_path": "../escape.txt", "content": "x"}),
            "ValueError: write_file path rejected by workspace policy: Path escapes workspace_root: '../escape.txt'",
        ),
        (
            HostOp::ReadFile,
            json!({"node_type": "read_file", "file_path": "nope.txt"}),
            "FileNotFoundError: File not found: nope.txt",
        ),
        (
            HostOp::ListFolder,
            json!({"node_type": "list_folder_files", "folder_path": "ghost"}),
            "FileNotFoundError: Folder not found: ghost",
        ),
        (
            HostOp::ReadPdf,
            json!({"node_type": "read_pdf", "file_path": "missing.pdf"}),
            "FileNotFoundError: File not found: missing.pdf",
        ),
        (
            HostOp::WritePdf,
            json!({"node_type": "write_pdf", "file_path": "/x.pdf"}),
            "ValueError: write_pdf path rejected by workspace policy: path is outside workspace roots",
        ),
        (
            HostOp::ReadArtifact,
            json!({"node_type": "read_artifact", "artifact_id": "doesnotexist"}),
            "FileNotFoundError: Artifact not found: doesnotexist",
        ),
        (
            HostOp::ImportFile,
            json!({"node_type": "import_workspace_file", "file_path": "/etc/hostname"}),
            "ValueError: import_workspace_file path rejected by workspace policy: path is outside workspace roots",
        ),
        (
            HostOp::ReadFile,
            json!({"node_type": "read_file", "file_path": "x", "scope": {"workspace_root": "/etc"}}),
            "ValueError: workspace_root is outside workspace roots: /etc",
        ),
    ] {
        assert_eq!(bench.error(op, args).await, expected);
    }
    std::fs::create_dir_all(bench.path("")).expect("dir");
    std::fs::write(bench.path("a.pdf"), "%PDF").expect("write");
    let error = bench
        .error(
            HostOp::ReadPdf,
            json!({"node_type": "read_pdf", "file_path": "a.pdf"}),
        )
        .await;
    assert_eq!(
        error,
        "ValueError: Cannot read 'a.pdf' as PDF: not a readable PDF file"
    );
    let mut parts = bench.host.parts.clone();
    parts.workspaces = None;
    let bare = RuntimeHost::new(parts);
    let asked = bench
        .ask_of(&bare, HostOp::ReadFile, json!({"file_path": "a"}))
        .await;
    assert_eq!(
        asked.expect_err("no mount").to_string(),
        "RuntimeError: This pool has no workspace"
    );
}

/// The values of the recorded import, read and export.
#[tokio::test]
async fn a_file_becomes_an_artifact_and_a_file_again() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("in")).expect("dir");
    std::fs::write(bench.path("in/report.txt"), "artifact body é").expect("write");
    let args = json!({"node_type": "import_workspace_file", "file_path": "in/report.txt"});
    let imported = bench.ask(HostOp::ImportFile, args).await.expect("imported");
    let id = imported["artifact_id"].as_str().expect("id").to_owned();
    let reference = json!({"$artifact": id, "artifact_id": id, "content_type": "text/plain", "size_bytes": 16,
        "run_id": bench.world.run.head.run_id, "filename": "report.txt", "source_path": "in/report.txt"});
    assert_eq!(
        imported,
        json!({"artifact": reference, "artifact_ref": reference, "artifact_id": id, "content_type": "text/plain",
            "size_bytes": 16, "source_path": "in/report.txt"})
    );
    let row = bench
        .world
        .store
        .artifact(&bench.world.scope, &id)
        .await
        .expect("store")
        .expect("row");
    let meta: Value = serde_json::from_str(&row.meta).expect("meta");
    assert_eq!(
        (&meta["tags"]["kind"], &meta["tags"]["session_id"]),
        (&json!("run_input"), &json!("s1"))
    );
    let read = bench
        .ask(
            HostOp::ReadArtifact,
            json!({"node_type": "read_artifact", "artifact_id": id}),
        )
        .await;
    assert_eq!(
        read.expect("read"),
        json!({"artifact": reference, "artifact_ref": reference, "artifact_id": id, "content_type": "text/plain",
            "content_family": "text", "size_bytes": 16, "filename": "report.txt", "source_path": "in/report.txt",
            "content": "artifact body é", "text": "artifact body é", "json": null, "binary_base64": null,
            "is_binary": false, "warnings": [], "truncated": false})
    );
    let args = json!({"node_type": "export_artifact", "artifact_id": id, "file_path": "out/copy.txt"});
    let exported = bench.ask(HostOp::ExportArtifact, args).await.expect("exported");
    assert_eq!(
        exported,
        json!({"artifact_id": id, "file_path": "out/copy.txt", "bytes": 16, "sha256": row.blob_id, "content_type": "text/plain"})
    );
    assert_eq!(
        std::fs::read_to_string(bench.path("out/copy.txt")).expect("file"),
        "artifact body é"
    );
    std::fs::write(bench.path("big.bin"), [0; 101]).expect("write");
    let args = json!({"node_type": "import_workspace_file", "file_path": "big.bin"});
    assert_eq!(
        bench.error(HostOp::ImportFile, args).await,
        "ValueError: File too large: big.bin (101 bytes > 100 bytes)"
    );
}

#[tokio::test]
async fn artifacts_are_shown_in_the_form_of_their_type() {
    let bench = Bench::new();
    let long = "é".repeat(262_145);
    let image = vec![7_u8; 131_073];
    for (content_type, content, expected) in [
        (
            "application/json",
            b"{\"a\": 1}".as_slice(),
            json!({"content": {"a": 1}, "json": {"a": 1}, "text": "{\"a\": 1}", "is_binary": false, "truncated": false}),
        ),
        (
            "application/json",
            b"{broken",
            json!({"content": "{broken", "json": null, "text": "{broken", "is_binary": false, "truncated": false}),
        ),
        (
            "text/plain",
            b"caf\xe9",
            json!({"content": "caf\u{fffd}", "json": null, "is_binary": false}),
        ),
        (
            "application/octet-stream",
            b"plain",
            json!({"content": "plain", "is_binary": false, "truncated": false}),
        ),
        (
            "application/octet-stream",
            b"\x00\x01",
            json!({"content": {"encoding": "base64", "data": "AAE="}, "binary_base64": "AAE=", "text": null, "is_binary": true, "truncated": false}),
        ),
        (
            "application/octet-stream",
            long.as_bytes(),
            json!({"is_binary": false, "truncated": true}),
        ),
        (
            "image/png",
            &image,
            json!({"is_binary": true, "truncated": true, "content_family": "image"}),
        ),
    ] {
        let id = bench.artifact(content_type, content).await;
        let read = bench
            .ask(HostOp::ReadArtifact, json!({"artifact_id": id}))
            .await
            .expect("read");
        for (key, value) in expected.as_object().expect("object") {
            assert_eq!(&read[key], value, "{content_type} {key}");
        }
        let cut = read["warnings"].as_array().is_some_and(|list| {
            list.iter()
                .all(|note| note.as_str().is_some_and(|note| note.starts_with("#TRUNCATION:")))
                && !list.is_empty()
        });
        assert_eq!(cut, expected["truncated"] == json!(true), "{content_type}");
    }
}

#[tokio::test]
async fn catalogues_are_asked() {
    let bench = Bench::new();
    for (op, name) in [
        (HostOp::ProviderCatalog, "ProviderCatalog"),
        (HostOp::ProviderModels, "ProviderModels"),
    ] {
        let answer = bench.ask(op, json!({"provider": "p", "scope": {}})).await;
        assert_eq!(
            answer.expect("answer"),
            json!([name, {"provider": "p", "scope": {}}])
        );
    }
}

/// A store or a blob store that is away is nobody's failure: the question is asked again.
#[tokio::test]
async fn outages_postpone() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("")).expect("dir");
    std::fs::write(bench.path("a.txt"), "a").expect("write");
    let id = bench.artifact("text/plain", b"kept").await;
    let questions = [
        (HostOp::ImportFile, json!({"file_path": "a.txt"})),
        (HostOp::ReadArtifact, json!({"artifact_id": id})),
        (
            HostOp::ExportArtifact,
            json!({"artifact_id": id, "file_path": "b.txt"}),
        ),
    ];
    let mut parts = bench.host.parts.clone();
    parts.blobs = Arc::new(SickBlobs::after(0, Arc::<MemoryBlobs>::default()));
    let no_bytes = RuntimeHost::new(parts);
    for (op, args) in &questions {
        let answer = bench.ask_of(&no_bytes, *op, args.clone()).await;
        assert!(
            matches!(answer, Err(HostFailure::Postponed(_))),
            "{op:?}: {answer:?}"
        );
        bench.world.store.break_after(0);
        let answer = bench.ask(*op, args.clone()).await;
        assert!(
            matches!(answer, Err(HostFailure::Postponed(_))),
            "{op:?}: {answer:?}"
        );
        bench.world.store.heal();
        bench.ask(*op, args.clone()).await.expect("answer");
    }
}
