//! Files of the workspace.

use std::fs;

use serde_json::json;

use crate::testkit::Node;

fn workspace() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().expect("dir");
    let (root, mount) = (dir.path().join("ws"), dir.path().join("data"));
    fs::create_dir_all(root.join("src")).expect("folders");
    fs::create_dir_all(root.join(".git")).expect("folders");
    fs::create_dir_all(&mount).expect("folders");
    fs::write(root.join("src/app.py"), "1\n2\n3\n").expect("file");
    fs::write(root.join(".git/config"), "secret").expect("file");
    fs::write(mount.join("d.csv"), "x").expect("file");
    let mounts = format!("data={}\nbad line\nother=/nowhere", mount.display());
    let node = Node::with(move |config| {
        config.workspace.dir = Some(root);
        config.workspace.mounts = Some(mounts);
    });
    (dir, node)
}

#[tokio::test]
async fn listing_reading_skimming_searching() {
    let (_dir, node) = workspace();
    let top = node.get("/api/gateway/files/list").await.json();
    assert_eq!(
        top["items"],
        json!([
            {"path": "src", "name": "src", "kind": "folder", "family": "folder"},
            {"path": "data", "name": "data", "kind": "folder", "family": "folder", "mount": "data"},
        ])
    );
    let deep = node
        .get("/api/gateway/files/list?path=src&extensions=.PY,md")
        .await
        .json();
    assert_eq!(deep["items"][0]["path"], "src/app.py");
    assert_eq!(
        node.get("/api/gateway/files/list?path=src&extensions=md")
            .await
            .json()["items"],
        json!([])
    );
    let lines = node
        .get("/api/gateway/files/read?path=src/app.py&start_line=2&end_line=2")
        .await
        .json();
    assert!(
        lines["content"]
            .as_str()
            .is_some_and(|text| text.ends_with("2: 2")),
        "{lines}"
    );
    let hidden = node.get("/api/gateway/files/read?path=.git/config").await.json();
    assert_eq!(
        hidden["content"],
        "Error: File '.git/config' is ignored by .abstractignore policy"
    );
    let skim = node.get("/api/gateway/files/skim?path=src/app.py").await.json();
    assert!(
        skim["content"]
            .as_str()
            .is_some_and(|text| text.contains("target 8.0%")),
        "{skim}"
    );
    let found = node.get("/api/gateway/files/search?query=app").await.json();
    assert_eq!(found, json!({"items": [{"path": "src/app.py", "size_bytes": 6}]}));
    assert_eq!(
        node.get("/api/gateway/files/search?query=config").await.json(),
        json!({"items": []})
    );
    assert_eq!(
        node.get("/api/gateway/files/search?query=%20").await.json(),
        json!({"items": []})
    );
    for (path, status, detail) in [
        ("list?path=nope", 404, "Folder not found"),
        ("list?path=src/app.py", 400, "Path is not a folder"),
        ("list?path=..", 403, "path escapes workspace root"),
        ("list?path=%252e%252e", 404, "Folder not found"),
        ("list?path=/etc", 403, "path is outside workspace roots"),
        ("read?path=", 400, "path is required"),
        ("read?path=../x", 403, "path escapes workspace root"),
        ("read", 422, ""),
        ("search", 422, ""),
        ("skim?path=a&target_percent=26", 422, ""),
        ("list?limit=0", 422, ""),
    ] {
        let answer = node.get(&format!("/api/gateway/files/{path}")).await;
        assert_eq!(answer.refusal(), (status, detail.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn clients_choose_roots_only_where_they_may() {
    let (dir, node) = workspace();
    let other = dir.path().join("other");
    fs::create_dir_all(&other).expect("folder");
    fs::write(other.join("o.txt"), "o").expect("file");
    let query = format!("/api/gateway/files/list?workspace_root={}", other.display());
    assert_eq!(
        node.get(&query).await.json()["items"][0]["name"],
        "src",
        "ignored"
    );
    let policy = node.get("/api/gateway/workspace/policy").await;
    assert_eq!(
        policy.json()["policy"],
        json!({"target": "server", "mounts": [{"name": "data"}], "max_attachment_bytes": 26_214_400,
            "client_workspace_scope_overrides": false, "allowed_access_modes": ["workspace_only", "workspace_or_allowed"]})
    );
    assert!(
        !policy.text().contains(&*dir.path().to_string_lossy()),
        "no folder of the host is told"
    );

    let open = Node::with(|config| config.workspace.allow_client_scope = true);
    assert_eq!(open.get(&query).await.json()["items"][0]["name"], "o.txt");
    let anywhere = format!(
        "/api/gateway/files/read?path={}&workspace_access_mode=all_except_ignored&workspace_ignored_paths={}",
        other.join("o.txt").display(),
        other.display()
    );
    assert_eq!(
        open.get(&anywhere).await.refusal(),
        (403, "path is blocked by workspace_ignored_paths".to_owned())
    );
    let modes =
        open.get("/api/gateway/workspace/policy").await.json()["policy"]["allowed_access_modes"].clone();
    assert_eq!(modes[2], "all_except_ignored");
}
