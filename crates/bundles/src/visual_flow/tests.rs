use serde_json::json;

use super::*;

fn message(document: &Value) -> Option<String> {
    validate(document.as_object().unwrap())
        .err()
        .map(|error| error.to_string())
}

#[test]
fn every_rule() {
    let node = |extra: Value| {
        let mut node = json!({"id": "n", "type": "code"});
        node.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"name": "x", "nodes": [node]})
    };
    let edge = |extra: Value| {
        let mut edge = json!({"source": "a", "target": "b", "sourceHandle": "s", "targetHandle": "t"});
        for (key, value) in extra.as_object().unwrap() {
            edge[key] = value.clone();
        }
        json!({"name": "x", "nodes": [{"id": "a", "type": "t"}, {"id": "b", "type": "t"}], "edges": [edge]})
    };
    let table = [
        (json!({}), "name is required"),
        (json!({"name": " "}), "name is required"),
        (json!({"name": 1}), "name must be a string"),
        (
            json!({"name": "x", "description": 1}),
            "description must be a string",
        ),
        (
            json!({"name": "x", "interfaces": [1]}),
            "interfaces must be a list of strings",
        ),
        (
            json!({"name": "x", "interfaces": "i"}),
            "interfaces must be a list of strings",
        ),
        (
            json!({"name": "x", "entryNode": ""}),
            "entryNode must be a non-empty string or null",
        ),
        (json!({"name": "x", "nodes": {}}), "nodes must be a list"),
        (json!({"name": "x", "nodes": [1]}), "nodes.0 must be an object"),
        (json!({"name": "x", "nodes": [{}]}), "nodes.0.id is required"),
        (
            json!({"name": "x", "nodes": [{"id": "n"}]}),
            "nodes.0.type is required",
        ),
        (
            json!({"name": "x", "nodes": [{"id": "x", "type": "t"}, {"id": "x", "type": "t"}]}),
            "duplicate node id 'x'",
        ),
        (
            node(json!({"position": []})),
            "nodes.0.position must be an object or null",
        ),
        (node(json!({"data": 1})), "nodes.0.data must be an object or null"),
        (
            node(json!({"inputs": {}})),
            "nodes.0.inputs must be a list or null",
        ),
        (
            node(json!({"data": {"outputs": 1}})),
            "nodes.0.data.outputs must be a list or null",
        ),
        (json!({"name": "x", "edges": 1}), "edges must be a list"),
        (json!({"name": "x", "edges": [1]}), "edges.0 must be an object"),
        (edge(json!({"source": null})), "edges.0.source is required"),
        (
            edge(json!({"targetHandle": ""})),
            "edges.0.targetHandle is required",
        ),
        (
            edge(json!({"source": "ghost"})),
            "edges.0.source references unknown node",
        ),
        (
            edge(json!({"target": "ghost"})),
            "edges.0.target references unknown node",
        ),
        (
            edge(json!({"animated": 1})),
            "edges.0.animated must be a boolean or null",
        ),
        (edge(json!({"id": ""})), "edges.0.id is required"),
    ];
    for (document, what) in table {
        assert_eq!(
            message(&document),
            Some(format!("Invalid VisualFlow JSON: {what}")),
            "{document}"
        );
    }
    let mut twice = edge(json!({"id": "e"}));
    let copy = twice["edges"][0].clone();
    twice["edges"].as_array_mut().unwrap().push(copy);
    assert_eq!(
        message(&twice).as_deref(),
        Some("Invalid VisualFlow JSON: duplicate edge id 'e'")
    );
    assert_eq!(
        message(&edge(json!({"id": null, "animated": true, "extra": 1}))),
        None
    );
    assert_eq!(
        message(&node(
            json!({"position": null, "data": {"inputs": []}, "outputs": null})
        )),
        None
    );
    assert_eq!(
        message(&json!({"name": "x", "entryNode": null, "description": null})),
        None
    );
}

#[test]
fn documents_are_created_and_updated() {
    let members =
        json!({"name": "n", "nodes": [{"id": "a", "type": "t", "odd": 1}], "description": null, "other": 1});
    let mut document = create("12345678", members.as_object().unwrap(), "t0");
    assert_eq!(
        serde_json::to_string(&document).unwrap(),
        r#"{"id":"12345678","name":"n","description":"","interfaces":[],"nodes":[{"id":"a","type":"t","odd":1}],"edges":[],"created_at":"t0","updated_at":"t0"}"#
    );
    update(
        &mut document,
        json!({"entryNode": "a", "name": null}).as_object().unwrap(),
        "t1",
    );
    update(
        &mut document,
        json!({"entryNode": null, "description": "d"})
            .as_object()
            .unwrap(),
        "t2",
    );
    assert_eq!(
        (&document["entryNode"], &document["name"]),
        (&json!("a"), &json!("n"))
    );
    assert_eq!(
        (&document["created_at"], &document["updated_at"]),
        (&json!("t0"), &json!("t2"))
    );
}

#[test]
fn ids() {
    for (id, safe) in [
        ("a1.b_c-D", true),
        ("..", true),
        ("", false),
        ("a/b", false),
        ("ä", false),
        ("a b", false),
    ] {
        assert_eq!(check_id(id).is_ok(), safe, "{id}");
    }
    assert_eq!(
        check_id("/").unwrap_err().to_string(),
        "flow_id contains unsafe characters"
    );
}
