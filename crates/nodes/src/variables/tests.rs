use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, eval_in, function_in};

fn read(node: &NodeType, literal: Value, values: Value, vars: &Value) -> Value {
    let shape = json!({"literalValue": literal});
    eval_in(node, shape, values, vars, Answer::none()).expect(node.spec.kind)["value"].clone()
}

#[test]
fn reads_respect_types_and_paths() {
    let vars =
        json!({"flag": false, "count": 3, "my": {"list": [1, {"a": "b"}]}, "_runtime": {"provider": "p"}});
    for (node, literal, expected) in [
        (
            &bool_var::NODE,
            json!({"name": "flag", "default": true}),
            json!(false),
        ),
        (&bool_var::NODE, json!("flag"), json!(false)),
        (
            &bool_var::NODE,
            json!({"name": "absent", "default": true}),
            json!(true),
        ),
        (
            &bool_var::NODE,
            json!({"name": "count", "default": true}),
            json!(true),
        ),
        (
            &var_decl::NODE,
            json!({"name": "count", "type": "number", "default": 5}),
            json!(3),
        ),
        (
            &var_decl::NODE,
            json!({"name": "count", "type": "string", "default": "s"}),
            json!("s"),
        ),
        (
            &var_decl::NODE,
            json!({"name": "absent", "type": "array", "default": "notarray"}),
            json!([]),
        ),
        (
            &var_decl::NODE,
            json!({"name": "absent", "type": "object"}),
            json!({}),
        ),
        (
            &var_decl::NODE,
            json!({"name": "flag", "type": "any"}),
            json!(false),
        ),
        (
            &var_decl::NODE,
            json!({"name": "flag", "type": "number"}),
            json!(0),
        ),
        (
            &var_decl::NODE,
            json!({"name": "absent", "type": "weird", "default": 3}),
            json!(null),
        ),
    ] {
        assert_eq!(
            read(node, literal.clone(), json!({}), &vars),
            expected,
            "{} {literal}",
            node.spec.kind
        );
    }
    for (name, expected) in [
        (json!("my.list.1.a"), json!("b")),
        (json!("_runtime.provider"), json!("p")),
        (json!("my.nope"), json!(null)),
        (json!(""), json!(null)),
        (json!(null), json!(null)),
    ] {
        assert_eq!(
            read(&get_var::NODE, json!(null), json!({"name": name}), &vars),
            expected,
            "{name}"
        );
    }
    let context = json!({"context": {"task": "T", "messages": [1]}});
    let found = eval_in(&get_context::NODE, json!({}), json!({}), &context, Answer::none()).expect("context");
    assert_eq!(
        found,
        json!({"context": {"task": "T", "messages": [1]}, "task": "T", "messages": [1]})
    );
    let found = eval_in(
        &get_context::NODE,
        json!({}),
        json!({}),
        &json!({}),
        Answer::none(),
    )
    .expect("context");
    assert_eq!(found, json!({"context": {}, "task": "", "messages": []}));
}

#[test]
fn writes_create_paths_and_keep_the_pipeline() {
    let mut vars = json!({"_last_output": {"y": 1}, "st": {"hp": 10, "pos": {"x": 1}}});
    let mut write = |node: &NodeType, shape: Value, values: Value| {
        function_in(node, shape, values, Answer::none(), &mut vars).expect(node.spec.kind)
    };
    let result = write(
        &set_var::NODE,
        json!({"terminal": true}),
        json!({"name": "my.key", "value": [1]}),
    );
    assert_eq!((&result.value, result.keep_last), (&json!({"value": [1]}), true));
    assert_eq!(
        result.terminal,
        Some(json!({"success": true, "result": {"y": 1}}))
    );
    write(
        &set_var::NODE,
        json!({"inputs": ["name", "value:boolean"]}),
        json!({"name": "b"}),
    );
    write(
        &set_var::NODE,
        json!({"inputs": ["name", "value"]}),
        json!({"name": "n"}),
    );
    let result = write(
        &set_var_property::NODE,
        json!({}),
        json!({"name": "st", "key": "pos.y", "value": 2}),
    );
    assert_eq!(
        result.value,
        json!({"value": {"hp": 10, "pos": {"x": 1, "y": 2}}})
    );
    write(
        &set_var_property::NODE,
        json!({}),
        json!({"name": "fresh.obj", "key": "k", "value": "v"}),
    );
    let result = write(
        &set_vars::NODE,
        json!({}),
        json!({"updates": {"a": 1, "c.d": [2]}}),
    );
    assert_eq!(result.value, json!({"updates": {"a": 1, "c.d": [2]}}));
    write(&set_vars::NODE, json!({}), json!({"updates": "{\"p.q\": 5}"}));
    for updates in [json!("not json"), json!(null), json!(3), json!("[1]")] {
        assert_eq!(
            write(&set_vars::NODE, json!({}), json!({"updates": updates})).value,
            json!({"updates": {}})
        );
    }
    let expected = json!({"_last_output": {"y": 1}, "st": {"hp": 10, "pos": {"x": 1, "y": 2}}, "my": {"key": [1]},
        "b": false, "n": null, "fresh": {"obj": {"k": "v"}}, "a": 1, "c": {"d": [2]}, "p": {"q": 5}});
    assert_eq!(vars, expected);
}

#[test]
fn bad_names_are_refused_before_anything_is_written() {
    let reserved = "Invalid variable name '_x': names starting with '_' are reserved.";
    for (node, values, text) in [
        (
            &set_var::NODE,
            json!({"name": ""}),
            "Set Variable requires a non-empty variable name.",
        ),
        (&set_var::NODE, json!({"name": "_x"}), reserved),
        (
            &set_var_property::NODE,
            json!({"name": "a", "key": " "}),
            "Set Variable Property requires a non-empty key.",
        ),
        (
            &set_var_property::NODE,
            json!({"name": "_x", "key": "k"}),
            reserved,
        ),
        (
            &set_vars::NODE,
            json!({"updates": {"a": 1, " ": 2}}),
            "Set Variables requires non-empty variable names in updates.",
        ),
        (&set_vars::NODE, json!({"updates": {"a": 1, "_x": 2}}), reserved),
    ] {
        let mut vars = json!({});
        let error = function_in(node, json!({}), values, Answer::none(), &mut vars).expect_err(text);
        assert_eq!(error.interrupt, ag_kernel::Exception::value(text).into());
        assert_eq!(vars, json!({}));
    }
}
