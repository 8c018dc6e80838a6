use ag_kernel::Exception;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, eval, eval_in};

#[test]
fn allowlists_and_parameters() {
    let tools = eval(
        &tools_allowlist::NODE,
        json!({"literalValue": ["b", " a ", "b", 3, ""]}),
        json!({}),
    );
    assert_eq!(tools, Ok(json!({"tools": ["b", "a"]})));
    let shape = json!({"toolParametersConfig": {"tool": "read_file"}, "inputs": ["path", "limit", "opt"]});
    let call = eval(
        &tool_parameters::NODE,
        shape,
        json!({"path": "x.txt", "limit": 3, "opt": null}),
    );
    let expected = json!({"path": "x.txt", "limit": 3, "opt": null,
        "tool_call": {"name": "read_file", "arguments": {"path": "x.txt", "limit": 3}}});
    assert_eq!(call, Ok(expected));
    let empty = eval(&tool_parameters::NODE, json!({}), json!({}));
    assert_eq!(empty, Ok(json!({"tool_call": {"name": "", "arguments": {}}})));
}

#[test]
fn schemas_only_grow() {
    let base = json!({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]});
    let more = json!({"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "integer"}}, "required": ["y", "x"]});
    let grown = json!({"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "integer"}}, "required": ["x", "y"]});
    for (additions, schema, expected) in [
        (more, json!({"schema": base}), grown),
        (
            json!({"properties": {"z": {}}}),
            json!({}),
            json!({"properties": {"z": {}}}),
        ),
        (
            json!({"properties": {}, "$defs": {"A": 2, "B": 3}, "required": ["q"]}),
            json!({"schema": {"type": "object", "$defs": {"A": 1}}}),
            json!({"type": "object", "$defs": {"A": 1, "B": 3}, "properties": {}}),
        ),
    ] {
        let found = eval(
            &edit_json_schema::NODE,
            json!({"literalValue": additions}),
            schema,
        );
        assert_eq!(found, Ok(json!({"schema": expected})));
    }
}

#[test]
fn catalogues_ask_the_host() {
    let run = |node: &NodeType, shape: Value, values: Value, answer: Answer| {
        eval_in(node, shape, values, &json!({}), answer).expect(node.spec.kind)
    };
    let names = || Answer::ok(json!(["One", "two"]));
    assert_eq!(
        run(
            &provider_catalog::NODE,
            json!({}),
            json!({"allowed_providers": ["ONE"]}),
            names()
        ),
        json!({"providers": ["One"]})
    );
    assert_eq!(
        run(
            &provider_models::NODE,
            json!({}),
            json!({"provider": "p", "allowed_models": ["p/two"]}),
            names()
        ),
        json!({"provider": "p", "models": ["two"]})
    );
    assert_eq!(
        run(&provider_models::NODE, json!({}), json!({}), Answer::none()),
        json!({"provider": "", "models": []})
    );
    assert_eq!(
        run(
            &provider_models::NODE,
            json!({}),
            json!({"provider": "p"}),
            Answer::raise(Exception::value("bad route"))
        ),
        json!({"provider": "p", "models": [], "error": "bad route"})
    );
    let all = run(&model_catalog::NODE, json!({}), json!({"index": 1}), names());
    assert_eq!(all["models"], json!(["One/One", "One/two", "two/One", "two/two"]));
    assert_eq!((&all["provider"], &all["model"]), (&json!("One"), &json!("two")));
    let none = run(
        &model_catalog::NODE,
        json!({}),
        json!({"index": -3}),
        Answer::ok(json!([])),
    );
    assert_eq!(
        none,
        json!({"providers": [], "models": [], "pair": {}, "provider": "", "model": ""})
    );
    let question = eval(&provider_catalog::NODE, json!({}), json!({}));
    assert_eq!(question, Err("asks ProviderCatalog".to_owned()));
}
