use serde_json::{Value, json};

use super::*;

fn flow(outputs: &Value, defaults: &Value) -> Object {
    let flow = json!({"nodes": [
        {"id": "x", "type": "code"},
        {"id": "start", "type": "on_flow_start", "data": {"outputs": outputs, "pinDefaults": defaults}},
        {"id": "second", "type": "on_flow_start", "data": {"outputs": [{"id": "no"}]}}
    ]});
    flow.as_object().unwrap().clone()
}

#[test]
fn the_recorded_answer() {
    let pin = |id, kind| json!({"id": id, "label": id, "type": kind});
    let outputs = json!([{"id": "exec-out", "label": "", "type": "execution"}, pin("name", "string"), pin("n", "number"), pin("opt", "object")]);
    let expected = r#"{"version":1,"inputs":[{"id":"name","label":"name","type":"string","required":true,"schema":{"type":"string","x-abstract-type":"string"}},{"id":"n","label":"n","type":"number","default":3,"required":false,"schema":{"type":"number","x-abstract-type":"number","default":3}},{"id":"opt","label":"opt","type":"object","required":true,"schema":{"type":"object","x-abstract-type":"object"}}],"defaults":{"n":3},"input_data_schema":{"type":"object","additionalProperties":true,"properties":{"name":{"type":"string","x-abstract-type":"string"},"n":{"type":"number","x-abstract-type":"number","default":3},"opt":{"type":"object","x-abstract-type":"object"}},"required":["name","opt"]}}"#;
    let answer = document(&flow(&outputs, &json!({"n": 3, "ghost": 1})));
    assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
}

#[test]
fn labels_schemas_and_defaults() {
    let outputs = json!([
        {"id": "a", "label": "A", "schema": {"type": "string", "enum": ["x"], "title": "own"}},
        {"id": "exec", "type": "any"}, {"id": "ok", "type": "execution"}, {"label": "no id"}, 5
    ]);
    let answer = document(&flow(&outputs, &json!({"a": null})));
    let expected = json!({"version": 1,
        "inputs": [{"id": "a", "label": "A", "type": "unknown", "default": null, "required": false,
            "schema": {"x-abstract-type": "unknown", "title": "own", "default": null, "type": "string", "enum": ["x"]}}],
        "defaults": {"a": null},
        "input_data_schema": {"type": "object", "additionalProperties": true, "properties": {"a":
            {"x-abstract-type": "unknown", "title": "own", "default": null, "type": "string", "enum": ["x"]}}}});
    assert_eq!(Value::Object(answer), expected);
    let empty = json!({"version": 1, "inputs": [], "defaults": {},
        "input_data_schema": {"type": "object", "additionalProperties": true, "properties": {}}});
    assert_eq!(Value::Object(document(&Object::new())), empty);
}

#[test]
fn pin_types() {
    let of = |kind: &str| Value::Object(pin_types::schema(kind));
    let groups = [
        (
            "string str text markdown path file directory workspace_file workspace_folder provider model provider_text model_music",
            "string",
        ),
        ("number float double", "number"),
        ("integer int", "integer"),
        ("boolean bool", "boolean"),
        ("array list", "array"),
        ("object dict map json", "object"),
    ];
    for (kinds, name) in groups {
        for kind in kinds.split(' ') {
            assert_eq!(of(kind), json!({"type": name}), "{kind}");
        }
    }
    for kind in [
        "tools",
        "memory",
        "any",
        "json_schema",
        "provider_x",
        "models",
        "artifact_x",
        "unknown",
    ] {
        assert_eq!(of(kind), json!({}), "{kind}");
    }
    let text = json!({"type": "string"});
    let artifact = json!({"type": "object", "required": ["$artifact"], "properties": {
        "$artifact": {"type": "string", "minLength": 1}, "artifact_id": text, "run_id": text, "artifact_run_id": text,
        "content_type": text, "filename": text, "source_path": text, "modality": text},
        "additionalProperties": true, "x-abstract-artifact-modality": "image"});
    assert_eq!(of("artifact_image"), artifact);
    assert_eq!(
        of("artifacts_image"),
        json!({"type": "array", "items": artifact, "x-abstract-artifact-modality": "image"})
    );
    assert_eq!(
        of("artifact")["properties"]["$artifact"],
        json!({"type": "string", "minLength": 1})
    );
    assert_eq!(of("artifacts")["type"], json!("array"));
}
