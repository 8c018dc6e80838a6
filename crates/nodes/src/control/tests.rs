use serde_json::{Value, json};

use super::*;
use crate::testing::{branch, eval};

#[test]
fn comparisons_and_gates() {
    let table: &[(&NodeType, Value, bool)] = &[
        (&compare::NODE, json!({"a": 1, "b": 1.0, "op": "=="}), true),
        (&compare::NODE, json!({"a": 1, "b": "1"}), false),
        (&compare::NODE, json!({"a": "x", "b": "y", "op": "!="}), true),
        (&compare::NODE, json!({"a": 2, "b": 10, "op": "<"}), true),
        (&compare::NODE, json!({"a": "2", "b": "10", "op": "<"}), false),
        (&compare::NODE, json!({"a": "2", "b": 10, "op": "<"}), false),
        (&compare::NODE, json!({"a": null, "b": 1, "op": ">="}), false),
        (&compare::NODE, json!({"a": [1, 2], "b": [1, 3], "op": "<"}), true),
        (
            &compare::NODE,
            json!({"a": {"k": 1, "l": 2}, "b": {"l": 2, "k": 1}, "op": "=="}),
            true,
        ),
        (&compare::NODE, json!({"a": true, "b": 1, "op": "=="}), true),
        (&compare::NODE, json!({"op": "=="}), true),
        (&compare::NODE, json!({"a": 3, "b": 3, "op": ">="}), true),
        (&not::NODE, json!({"value": ""}), true),
        (&not::NODE, json!({"value": "false"}), false),
        (&not::NODE, json!({}), true),
        (&and::NODE, json!({"a": 1, "b": "x"}), true),
        (&and::NODE, json!({"a": [], "b": true}), false),
        (&or::NODE, json!({"a": 0, "b": null}), false),
        (&or::NODE, json!({"a": {}, "b": [0]}), true),
    ];
    for (node, values, expected) in table {
        let found = eval(node, json!({}), values.clone()).expect(node.spec.kind);
        assert_eq!(found, json!({"result": expected}), "{} {values}", node.spec.kind);
    }
    let error = eval(&compare::NODE, json!({}), json!({"a": 1, "b": 2, "op": "=~"}));
    assert_eq!(
        error,
        Err("ValueError: Unknown comparison operator: =~".to_owned())
    );
}

#[test]
fn branches_take_the_named_handle() {
    for (condition, handle) in [
        (json!("no"), "true"),
        (json!(0), "false"),
        (json!(""), "false"),
        (json!([0]), "true"),
    ] {
        let expected = (
            handle.to_owned(),
            json!({"branch": handle, "condition": condition}),
        );
        assert_eq!(
            branch(&r#if::NODE, json!({}), json!({"condition": condition})),
            expected
        );
    }
    assert_eq!(branch(&r#if::NODE, json!({}), json!({})).0, "false");
    let cases = json!({"switchConfig": {"cases": [
        {"id": "a", "value": "apple"}, {"id": "b", "value": "b b"}, {"id": "n", "value": "3"}, {"id": "x"},
        {"value": "noid"},
    ]}});
    for (value, handle) in [
        (json!("b b"), "case:b"),
        (json!(3), "case:n"),
        (json!("Apple"), "default"),
        (json!(null), "default"),
        (json!("noid"), "default"),
    ] {
        assert_eq!(
            branch(&switch::NODE, cases.clone(), json!({"value": value})).0,
            handle,
            "{value}"
        );
    }
    let (_, result) = branch(&switch::NODE, cases, json!({"value": 3}));
    assert_eq!(result, json!({"branch": "case:n", "value": "3", "matched": "3"}));
}
