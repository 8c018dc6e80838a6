//! Documents, publishing, simulation.

use serde_json::{Value, json};

use crate::{
    routes::testing::{Keys, modelled},
    testkit::Node,
};

const FLOWS: &str = "/api/gateway/visualflows";

fn members(calls: &[&str]) -> Value {
    let mut nodes = vec![
        json!({"id": "start", "type": "on_flow_start", "position": {"x": 1, "y": 2, "odd": true},
        "data": {"nodeType": "on_flow_start", "outputs": [{"id": "exec-out", "type": "execution"}]}}),
    ];
    let mut edges = Vec::new();
    let mut last = "start".to_owned();
    for (index, target) in calls.iter().enumerate() {
        let id = format!("s{index}");
        nodes.push(json!({"id": id, "type": "subflow", "data": {"nodeType": "subflow", "subflowId": target,
            "inputs": [{"id": "exec-in", "type": "execution"}], "outputs": [{"id": "exec-out", "type": "execution"}]}}));
        edges.push(json!({"id": format!("e{index}"), "source": last, "sourceHandle": "exec-out", "target": id, "targetHandle": "exec-in"}));
        last = id;
    }
    json!({"name": "My Flow!", "nodes": nodes, "edges": edges})
}

#[tokio::test]
async fn documents() {
    let node = Node::new();
    assert_eq!(node.get(FLOWS).await.json(), json!([]));
    let made = node.post(FLOWS, &members(&[])).await.json();
    let id = made["id"].as_str().expect("id").to_owned();
    assert!(
        id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    let keys: Vec<&str> = made
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "name",
            "description",
            "interfaces",
            "nodes",
            "edges",
            "created_at",
            "updated_at"
        ]
    );
    assert_eq!(node.get(FLOWS).await.json(), json!([made]));
    let path = format!("{FLOWS}/{id}");
    let changed = node
        .call(
            "PUT",
            &path,
            &json!({"description": "d", "name": null, "entryNode": "start"}),
        )
        .await
        .json();
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["entryNode"]),
        (&json!("My Flow!"), &json!("d"), &json!("start"))
    );
    assert_eq!(changed["nodes"], made["nodes"], "unknown members are kept");
    assert_eq!(node.get(&path).await.json(), changed);
    let cases = [
        ("POST", FLOWS.to_owned(), json!({}), 422, ""),
        ("POST", FLOWS.to_owned(), json!({"name": "x", "foo": 1}), 422, ""),
        (
            "POST",
            FLOWS.to_owned(),
            json!({"name": " "}),
            400,
            "Invalid VisualFlow JSON: name is required",
        ),
        (
            "PUT",
            path.clone(),
            json!({"nodes": [{"id": "a"}]}),
            400,
            "Invalid VisualFlow JSON: nodes.0.type is required",
        ),
        (
            "PUT",
            format!("{FLOWS}/ghost"),
            json!({}),
            404,
            "Flow 'ghost' not found",
        ),
        (
            "PUT",
            format!("{FLOWS}/a%2Fb"),
            json!({}),
            400,
            "flow_id contains unsafe characters",
        ),
    ];
    for (method, path, body, status, detail) in cases {
        let answer = node.call(method, &path, &body).await;
        assert_eq!(
            answer.refusal(),
            (status, detail.to_owned()),
            "{method} {path} {body}"
        );
    }
    assert_eq!(
        node.bare("DELETE", &path).await.json(),
        json!({"status": "deleted", "id": id})
    );
    assert_eq!(
        node.bare("DELETE", &path).await.refusal(),
        (404, format!("Flow '{id}' not found"))
    );
    assert_eq!(node.get(&path).await.refusal().0, 404);
}

#[tokio::test]
async fn publishing() {
    let node = Node::new();
    let child = node.post(FLOWS, &members(&[])).await.json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let root = node.post(FLOWS, &members(&[&child])).await.json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let path = format!("{FLOWS}/{root}/publish");
    let first = node.post(&path, &json!({})).await.json();
    assert_eq!(
        first,
        json!({"ok": true, "bundle_id": "My-Flow", "bundle_version": "0.0.0", "bundle_ref": "My-Flow@0.0.0",
            "bundle_path": "My-Flow@0.0.0.flow", "gateway_reloaded": true, "gateway_reload_error": null})
    );
    assert_eq!(
        node.post(&path, &json!({})).await.json()["bundle_version"],
        "0.0.1"
    );
    let taken = node.post(&path, &json!({"bundle_version": "0.0.1"})).await;
    assert_eq!(
        taken.refusal(),
        (
            400,
            "bundle_version '0.0.1' already exists for bundle 'My-Flow'".to_owned()
        )
    );
    let draft = json!({"bundle_version": "draft.s", "overwrite": true});
    for _ in 0..2 {
        assert_eq!(
            node.post(&path, &draft).await.json()["bundle_ref"],
            "My-Flow@draft.s"
        );
    }
    let shown = node.get("/api/gateway/bundles/My-Flow@0.0.1").await.json();
    assert_eq!(shown["flows"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["metadata"]["lineage"]["previous_bundle_version"], "0.0.0");
    let broken = node.post(FLOWS, &members(&["ghost"])).await.json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let missing = node.post(&format!("{FLOWS}/{broken}/publish"), &json!({})).await;
    assert_eq!(
        missing.refusal(),
        (
            400,
            "Failed to publish bundle: Missing referenced subflows in flows_dir: ['ghost']".to_owned()
        )
    );
    let empty = node.post(FLOWS, &json!({"name": "empty"})).await.json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let (status, detail) = node
        .post(&format!("{FLOWS}/{empty}/publish"), &json!({}))
        .await
        .refusal();
    assert_eq!(status, 503);
    assert!(
        detail
            .starts_with("Failed to reload bundles after publish: Failed compiling VisualFlow 'empty@0.0.0:"),
        "{detail}"
    );
    assert_eq!(
        node.post(&format!("{FLOWS}/none/publish"), &json!({}))
            .await
            .refusal()
            .0,
        404
    );
}

#[tokio::test]
async fn simulation() {
    let (node, _) = modelled(Keys::Refused, |_| {});
    let path = format!("{FLOWS}/code/simulate");
    let run = |body: Value| {
        let (node, path) = (&node, &path);
        async move { node.post(path, &body).await.json() }
    };
    let good =
        run(json!({"code": "def transform(x):\n    return {'x': x['x'] + 1}", "input": {"x": 1}})).await;
    assert_eq!(
        (&good["ok"], &good["output"], &good["error"]),
        (&json!(true), &json!({"x": 2}), &Value::Null)
    );
    assert_eq!(
        good["diagnostics"],
        json!({"source": "abstractruntime.code_executor", "phase": "runtime", "requested_mode": "sandbox",
            "effective_mode": "sandbox", "allowed": true})
    );
    assert_eq!(good["execution"]["permissions"], "sandbox");
    let cases = [
        (
            json!({"code": "def transform(x):\n    return 1 / 0"}),
            "runtime",
            "Runtime error: division by zero",
        ),
        (json!({"code": "import os"}), "compile", "Imports are not allowed"),
        (
            json!({"code": "x = 1"}),
            "runtime",
            "Function 'transform' not defined in code",
        ),
        (
            json!({"code": "", "permissions": "weird"}),
            "compile",
            "Unsupported code execution permissions: 'weird'",
        ),
    ];
    for (body, phase, error) in cases {
        let answer = run(body).await;
        assert_eq!(
            (&answer["success"], &answer["output"]),
            (&json!(false), &Value::Null)
        );
        let text = answer["error"].as_str().expect("text");
        assert!(text.contains(error), "{text}");
        assert_eq!(
            (&answer["diagnostics"]["phase"], &answer["diagnostics"]["allowed"]),
            (&json!(phase), &json!(false)),
            "{error}"
        );
    }
    assert_eq!(node.post(&path, &json!({"codes": ""})).await.status.as_u16(), 422);
    assert_eq!(Node::new().post(&path, &json!({})).await.status.as_u16(), 501);
}
