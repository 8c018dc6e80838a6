use serde_json::{Value, json};

use super::*;
use crate::testing::eval;

mod documents;

/// Rows of type, configuration, inputs, output pin and its value.
fn check(table: &[(&NodeType, Value, Value, &str, Value)]) {
    for (node, config, values, pin, expected) in table {
        let found = eval(node, config.clone(), values.clone()).expect(node.spec.kind);
        assert_eq!(&found[*pin], expected, "{} {config} {values}", node.spec.kind);
    }
}

#[test]
fn lists() {
    let none = || json!({});
    let mixed = json!([1, "1", 1.0, true, 1, null, null, {"a": 1, "b": 2}, {"b": 2, "a": 1}]);
    let records = json!([{"id": 1, "v": "x"}, {"id": 1, "v": "y"}, {"v": "z"}, {"v": "z"}]);
    let typed = json!([{"t": "a", "i": 1}, {"t": "b", "i": 2}, {"t": "a", "i": 3}, "a"]);
    check(&[
        (
            &array_length::NODE,
            none(),
            json!({"array": [1, 2]}),
            "result",
            json!(2),
        ),
        (
            &array_length::NODE,
            none(),
            json!({"array": "ab"}),
            "result",
            json!(0),
        ),
        (
            &array_append::NODE,
            none(),
            json!({"array": [1], "item": [2]}),
            "result",
            json!([1, [2]]),
        ),
        (
            &array_append::NODE,
            none(),
            json!({"array": null, "item": null}),
            "result",
            json!([null]),
        ),
        (
            &array_append::NODE,
            none(),
            json!({"array": "x", "item": "y"}),
            "result",
            json!(["x", "y"]),
        ),
        (
            &array_dedup::NODE,
            none(),
            json!({"array": mixed}),
            "result",
            json!([1, "1", 1.0, true, null, {"a": 1, "b": 2}]),
        ),
        (
            &array_dedup::NODE,
            none(),
            json!({"array": records, "key": "id"}),
            "result",
            json!([{"id": 1, "v": "x"}, {"v": "z"}]),
        ),
        (
            &array_dedup::NODE,
            none(),
            json!({"array": "no"}),
            "result",
            json!([]),
        ),
        (
            &array_map::NODE,
            none(),
            json!({"items": [{"n": 1}, {"m": 2}, 3], "key": "n"}),
            "result",
            json!([1, null, 3]),
        ),
        (
            &array_map::NODE,
            none(),
            json!({"items": "ab", "key": "n"}),
            "result",
            json!(["a", "b"]),
        ),
        (
            &array_filter::NODE,
            none(),
            json!({"items": typed, "key": "t", "value": "a"}),
            "result",
            json!([{"t": "a", "i": 1}, {"t": "a", "i": 3}, "a"]),
        ),
        (
            &array_filter::NODE,
            none(),
            json!({"items": [1, 2, 1], "value": 1}),
            "result",
            json!([1, 1]),
        ),
        (
            &has_tools::NODE,
            none(),
            json!({"array": []}),
            "result",
            json!(false),
        ),
        (
            &has_tools::NODE,
            none(),
            json!({"array": [{}]}),
            "result",
            json!(true),
        ),
        (
            &has_tools::NODE,
            none(),
            json!({"array": "x"}),
            "result",
            json!(false),
        ),
        (
            &get_element::NODE,
            none(),
            json!({"array": ["a", "b", "c"], "index": -1}),
            "result",
            json!("c"),
        ),
        (
            &get_element::NODE,
            none(),
            json!({"array": ["a"], "index": 5, "default": "d"}),
            "result",
            json!("d"),
        ),
        (
            &get_element::NODE,
            none(),
            json!({"array": ["a", "b"], "index": "1.9"}),
            "result",
            json!("b"),
        ),
        (
            &get_element::NODE,
            none(),
            json!({"array": ["a"], "index": 3}),
            "found",
            json!(false),
        ),
        (
            &get_element::NODE,
            none(),
            json!({"array": ["a"], "index": -9}),
            "found",
            json!(false),
        ),
        (
            &get_random_element::NODE,
            none(),
            json!({"array": ["only"]}),
            "result",
            json!("only"),
        ),
        (
            &get_random_element::NODE,
            none(),
            json!({"array": [], "default": "d"}),
            "result",
            json!("d"),
        ),
        (
            &get_random_element::NODE,
            none(),
            json!({"array": [], "default": "d"}),
            "found",
            json!(false),
        ),
        (
            &make_array::NODE,
            json!({"inputs": ["a", "b", "c"]}),
            json!({"c": [2, 3], "b": null, "a": 1}),
            "result",
            json!([1, [2, 3]]),
        ),
        (&make_array::NODE, none(), json!({}), "result", json!([])),
        (
            &array_concat::NODE,
            json!({"inputs": ["a", "b", "c", "d"]}),
            json!({"a": [1, [2]], "b": 3, "c": null, "d": []}),
            "result",
            json!([1, [2], 3]),
        ),
        (
            &array_concat::NODE,
            json!({"inputs": ["a"]}),
            json!({"a": {"k": 1}}),
            "result",
            json!([{"k": 1}]),
        ),
        (
            &coalesce::NODE,
            json!({"inputs": ["a", "b"]}),
            json!({"a": null, "b": 0}),
            "result",
            json!(0),
        ),
        (
            &coalesce::NODE,
            json!({"inputs": ["b", "a"]}),
            json!({"a": "A", "b": "B"}),
            "result",
            json!("B"),
        ),
        (
            &coalesce::NODE,
            json!({"inputs": ["a"]}),
            json!({"a": null}),
            "result",
            json!(null),
        ),
    ]);
}

#[test]
fn objects() {
    let none = || json!({});
    let nested = json!({"a": {"b": [10, {"c": "x"}]}});
    check(&[
        (
            &get::NODE,
            none(),
            json!({"object": nested, "key": "a.b[1].c"}),
            "value",
            json!("x"),
        ),
        (
            &get::NODE,
            none(),
            json!({"object": {"a": null}, "key": "a", "default": "dflt"}),
            "value",
            json!("dflt"),
        ),
        (
            &get::NODE,
            none(),
            json!({"object": [5, 6], "key": "1"}),
            "value",
            json!(6),
        ),
        (
            &get::NODE,
            none(),
            json!({"object": {"a.b": 1}, "key": "a.b"}),
            "value",
            json!(null),
        ),
        (
            &get::NODE,
            none(),
            json!({"object": {"a": 1}, "key": ""}),
            "value",
            json!(null),
        ),
        (
            &set::NODE,
            none(),
            json!({"object": {"a": 1}, "key": "b.c", "value": [1]}),
            "result",
            json!({"a": 1, "b": {"c": [1]}}),
        ),
        (
            &set::NODE,
            none(),
            json!({"object": {"a": 1}, "key": "a.x", "value": 2}),
            "result",
            json!({"a": {"x": 2}}),
        ),
        (
            &set::NODE,
            none(),
            json!({"key": "k", "value": null}),
            "result",
            json!({"k": null}),
        ),
        (
            &merge::NODE,
            none(),
            json!({"a": {"x": 1, "y": {"k": 1}}, "b": {"y": {"l": 2}, "z": 3}}),
            "result",
            json!({"x": 1, "y": {"l": 2}, "z": 3}),
        ),
        (
            &merge::NODE,
            none(),
            json!({"b": {"q": 1}}),
            "result",
            json!({"q": 1}),
        ),
        (
            &make_object::NODE,
            none(),
            json!({"x": 1, "y": [true, null], "_z": 9}),
            "result",
            json!({"x": 1, "y": [true, null]}),
        ),
    ]);
    for object in [json!([1, 2]), json!(null)] {
        let error = eval(
            &set::NODE,
            none(),
            json!({"object": object, "key": "a", "value": 1}),
        )
        .expect_err("no mapping");
        assert!(error.starts_with("TypeError: "), "{error}");
    }
}

#[test]
fn break_object_reads_paths_and_text() {
    let shape = |paths: &[&str]| json!({"breakConfig": {"selectedPaths": paths}});
    check(&[
        (
            &break_object::NODE,
            shape(&["a.b", "l.0.x", "zz"]),
            json!({"object": {"a": {"b": 1}, "l": [{"x": 5}]}}),
            "l.0.x",
            json!(5),
        ),
        (
            &break_object::NODE,
            shape(&["k.1"]),
            json!({"object": "{\"k\": [1, 2]}"}),
            "k.1",
            json!(2),
        ),
        (
            &break_object::NODE,
            shape(&["k"]),
            json!({"object": "not json"}),
            "k",
            json!(null),
        ),
        (
            &break_object::NODE,
            shape(&["v"]),
            json!({"object": "```json\n{\"v\": true}\n```"}),
            "v",
            json!(true),
        ),
        (
            &break_object::NODE,
            json!({"outputs": ["d"]}),
            json!({"object": {"d": 1}}),
            "d",
            json!(1),
        ),
    ]);
}
