use super::*;
use crate::test_kit::{World, object};
use serde_json::{Value, json};

const OWNER: &str = "session_memory_s1";

async fn attach(world: &World, path: &str, content_type: &str, content: &[u8]) -> String {
    let filename = path.rsplit('/').next().unwrap_or(path);
    let tags = [
        ("kind", "attachment"),
        ("path", path),
        ("filename", filename),
        ("session_id", "s1"),
    ];
    world.artifact(content_type, &tags, content, OWNER).await
}

fn files<'a>(world: &'a World, session: Option<&'a str>) -> SessionFiles<'a> {
    SessionFiles::new(&*world.store, &world.blobs, &world.scope, session, 1000)
}

async fn open(world: &World, arguments: Value) -> Opened {
    files(world, Some("s1"))
        .open(&object(arguments))
        .await
        .expect("readable")
}

#[tokio::test]
async fn every_spelling_of_a_handle_finds_the_file() {
    let world = World::new(vec![]);
    let id = attach(&world, "client:docs/Report.txt", "text/plain", b"one\ntwo").await;
    attach(&world, "docs/other.txt", "text/plain", b"x").await;
    for handle in [
        "client:docs/Report.txt",
        "docs/Report.txt",
        "@docs/Report.txt",
        " ./docs/Report.txt",
        "file:///ws/docs/Report.txt",
        "docs\\Report.txt",
        "Report.txt",
        "'@Report.txt'",
        "report.TXT",
        &id,
    ] {
        let opened = open(&world, json!({"handle": handle})).await;
        assert_eq!(opened.output["artifact_id"], id.as_str(), "{handle}");
    }
    for arguments in [
        json!({"artifact_id": id}),
        json!({"artifact_id": "Report.txt"}),
        json!({"path": "Report.txt"}),
    ] {
        assert_eq!(open(&world, arguments.clone()).await.error, None, "{arguments}");
    }
    for handle in ["Repo.txt", "eport.txt", "other"] {
        assert_eq!(
            open(&world, json!({"handle": handle})).await.error.as_deref(),
            Some("attachment not found")
        );
    }
}

#[tokio::test]
async fn text_is_shown_with_numbers() {
    let world = World::new(vec![]);
    let id = attach(&world, "a.txt", "text/plain", "one\ntwo é\nthree".as_bytes()).await;
    let opened = open(
        &world,
        json!({"handle": "a.txt", "start_line": "2", "end_line": 2}),
    )
    .await;
    let sha = opened.output["sha256"].as_str().expect("hash").to_owned();
    let expected = json!({
        "rendered": format!("Attachment: a.txt (id={id}, sha={}, lines 2-2)\n\n2: two é", &sha[..8]),
        "artifact_id": id, "handle": "a.txt", "sha256": sha, "content_type": "text/plain", "size_bytes": 16,
        "content_text": "two é", "start_line": 2, "end_line": 2, "truncated": false,
    });
    assert_eq!(
        opened,
        Opened {
            output: expected,
            error: None,
            media: None
        }
    );
    let cut = open(&world, json!({"handle": "a.txt", "max_chars": 4})).await;
    assert_eq!(
        (&cut.output["content_text"], &cut.output["truncated"]),
        (&json!("one"), &json!(true))
    );
    assert!(
        cut.output["rendered"]
            .as_str()
            .is_some_and(|text| text.contains("start_line=2"))
    );
}

#[tokio::test]
async fn media_is_queued_and_binaries_are_refused() {
    let world = World::new(vec![]);
    let image = attach(&world, "x.png", "image/png", b"\x89PNG").await;
    let pdf = attach(&world, "p.pdf", "application/pdf", b"%PDF").await;
    attach(&world, "z.bin", "application/octet-stream", &[0, 159, 1]).await;
    attach(&world, "notes", "application/octet-stream", b"plain after all").await;
    let opened = open(&world, json!({"handle": "x.png"})).await;
    let item =
        json!({"$artifact": image, "filename": "x.png", "source_path": "x.png", "content_type": "image/png"});
    assert_eq!(
        (opened.error, &opened.output["media"], opened.media),
        (None, &json!([item]), Some(item.clone()))
    );
    let opened = open(&world, json!({"artifact_id": pdf})).await;
    assert_eq!(
        opened.output["derived_error"],
        "PDF text extraction failed: not a readable PDF file"
    );
    assert!(opened.media.is_some());
    let at = "2025-01-01T00:00:00Z".parse().expect("time");
    let file = ag_pdf::write("Some words", Some("T"), at).expect("file");
    let pdf = attach(&world, "q.pdf", "application/pdf", &file).await;
    let opened = open(&world, json!({"artifact_id": pdf})).await;
    assert_eq!(opened.output["content_text"], "# Page 1\n\nT\nSome words");
    assert_eq!(opened.output["derived_from"], "pdf");
    let opened = open(&world, json!({"handle": "z.bin"})).await;
    assert_eq!(
        (opened.error.as_deref(), opened.media),
        (Some("binary content"), None)
    );
    assert_eq!(
        open(&world, json!({"handle": "notes"})).await.output["content_text"],
        "plain after all"
    );
}

#[tokio::test]
async fn ambiguous_and_unknown_names_are_explained() {
    let world = World::new(vec![]);
    attach(&world, "a/n.txt", "text/plain", b"1").await;
    let second = attach(&world, "b/n.txt", "text/plain", b"2").await;
    let opened = open(&world, json!({"handle": "n.txt"})).await;
    assert_eq!(opened.error.as_deref(), Some("multiple matches"));
    assert_eq!(opened.output["candidates"].as_array().map(Vec::len), Some(2));
    assert!(
        opened.output["rendered"]
            .as_str()
            .is_some_and(|text| text.contains(&format!("@b/n.txt (id={second})")))
    );
    let opened = open(&world, json!({"handle": "n.md"})).await;
    assert_eq!(opened.error.as_deref(), Some("attachment not found"));
    assert_eq!(opened.output["suggestions"][0]["handle"], "b/n.txt");
    assert_eq!(
        open(&world, json!({})).await.error.as_deref(),
        Some("missing artifact_id/handle")
    );
    let nobody = files(&world, None)
        .open(&object(json!({"handle": "n.txt"})))
        .await
        .expect("readable");
    assert_eq!(nobody.error.as_deref(), Some("session_id is required"));
    let elsewhere = files(&world, Some("s2"))
        .open(&object(json!({"handle": "n.txt"})))
        .await
        .expect("readable");
    assert_eq!(elsewhere.error.as_deref(), Some("attachment not found"));
    assert_eq!(elsewhere.output["suggestions"], json!([]));
}

#[tokio::test]
async fn several_contents_of_one_path_are_versions() {
    let world = World::new(vec![]);
    let old = attach(&world, "a.txt", "text/plain", b"old").await;
    let new = attach(&world, "a.txt", "text/plain", b"new").await;
    assert_eq!(
        open(&world, json!({"handle": "a.txt"})).await.output["artifact_id"],
        new.as_str()
    );
    let sha = BlobId::of(b"old").to_string();
    for expected in [sha.as_str(), &sha[..8], &sha.to_uppercase()] {
        let opened = open(&world, json!({"handle": "a.txt", "expected_sha256": expected})).await;
        assert_eq!(opened.output["artifact_id"], old.as_str(), "{expected}");
    }
    let opened = open(&world, json!({"artifact_id": new, "expected_sha256": sha})).await;
    assert_eq!(opened.error.as_deref(), Some("attachment not found"));
}

#[tokio::test]
async fn large_content_is_not_read() {
    let world = World::new(vec![]);
    attach(&world, "big.txt", "text/plain", &[b'x'; 1001]).await;
    let opened = open(&world, json!({"handle": "big.txt"})).await;
    assert_eq!(
        opened.error.as_deref(),
        Some("Attachment too large (1001 bytes > 1000 bytes)")
    );
    let limit = |payload: Value, vars: Value| max_bytes(&object(payload), &object(vars), 7);
    let of_run = json!({"_runtime": {"max_attachment_bytes": 5}});
    assert_eq!(limit(json!({"max_attachment_bytes": 3}), of_run.clone()), 3);
    assert_eq!(limit(json!({"max_attachment_bytes": 0}), of_run), 5);
    assert_eq!(
        limit(json!({}), json!({"_runtime": {"max_attachment_bytes": -1}})),
        7
    );
}

#[tokio::test]
async fn reading_tools_are_served() {
    let world = World::new(vec![]);
    attach(
        &world,
        "in/log.txt",
        "text/plain",
        b"ok\nerror: a\nok\nerror: b\nerror: c",
    )
    .await;
    let files = files(&world, Some("s1"));
    let text = async |tool: &str, arguments: Value| {
        let opened = files.serve(tool, &object(arguments)).await.expect("readable")?;
        Some(
            opened
                .output
                .get("content_text")
                .unwrap_or(&opened.output)
                .as_str()?
                .to_owned(),
        )
    };
    let read = json!({"file_path": "/elsewhere/in/log.txt", "start_line": 2, "end_line": 2});
    assert_eq!(text("read_file", read).await.as_deref(), Some("error: a"));
    let found = text(
        "search_files",
        json!({"path": "log.txt", "pattern": "^err", "max_hits": 2}),
    )
    .await;
    let expected = "Search results for pattern '^err' under '@in/log.txt' in 1 files:\n\nin/log.txt:\n    2: error: a\n    4: error: b\n    …";
    assert_eq!(found.as_deref(), Some(expected));
    let found = text("search_files", json!({"path": "log.txt", "pattern": "none"})).await;
    assert_eq!(found.as_deref(), Some("No matches found for pattern 'none'"));
    assert!(
        text("list_files", json!({"directory_path": "@log.txt"}))
            .await
            .is_some()
    );
    assert_eq!(
        text("search_files", json!({"path": "log.txt", "pattern": "("})).await,
        None
    );
    assert_eq!(text("write_file", json!({"file_path": "log.txt"})).await, None);
    assert_eq!(text("read_file", json!({"file_path": "nope.txt"})).await, None);
}

#[tokio::test]
async fn a_kept_file_can_be_opened() {
    let world = World::new(vec![]);
    let file = KeepFile {
        session_id: "s 1",
        handle: "in/data",
        source: "read_file",
        content: Bytes::from_static(b"hi"),
    };
    let now = ag_types::Timestamp::from_micros(0);
    let kept = keep_read_file(&world.blobs, &world.scope, file, now, &world.cancel)
        .await
        .expect("stored");
    let tags = serde_json::to_value(&kept.meta.tags).expect("tags");
    let sha = BlobId::of(b"hi").to_string();
    assert_eq!(
        tags,
        json!({"kind": "attachment", "path": "in/data", "filename": "data", "sha256": sha, "source": "read_file", "session_id": "s 1"})
    );
    assert_eq!(kept.meta.content_type, "text/plain");
    assert_eq!(kept.owner.owner_id, session_memory_run_id("s 1"));
    assert_eq!(kept.row.run_id.as_deref(), Some(kept.owner.owner_id.as_str()));
    assert!(
        kept.stub("read_file")
            .starts_with("[read_file]: (stored as attachment) @in/data (id=")
    );
    world
        .store
        .put_artifact(&world.scope, kept.row)
        .await
        .expect("row");
    let opened = files(&world, Some("s 1"))
        .open(&object(json!({"handle": "@in/data"})))
        .await
        .expect("readable");
    assert_eq!(opened.output["content_text"], "hi");
}
