use serde_json::{Value, json};

use super::*;
use crate::testing::eval;

/// Rows of type, configuration, inputs and result.
fn check(table: &[(&NodeType, Value, Value, Value)]) {
    for (node, config, values, expected) in table {
        let found = eval(node, config.clone(), values.clone()).expect(node.spec.kind);
        assert_eq!(
            found,
            json!({"result": expected}),
            "{} {config} {values}",
            node.spec.kind
        );
    }
}

#[test]
fn case_length_and_trim() {
    let none = || json!({});
    check(&[
        (
            &uppercase::NODE,
            none(),
            json!({"text": "straße ñandú ﬁ"}),
            json!("STRASSE ÑANDÚ FI"),
        ),
        (
            &lowercase::NODE,
            none(),
            json!({"text": "ÀÉÎ İstanbul ΣΑΣ"}),
            json!("àéî i̇stanbul σας"),
        ),
        (&trim::NODE, none(), json!({"text": "\t  a b \n "}), json!("a b")),
        (&length::NODE, none(), json!({"text": "héllo"}), json!(5)),
        (&length::NODE, none(), json!({"text": "👩‍💻x"}), json!(4)),
        (&length::NODE, none(), json!({"text": 12.5}), json!(4)),
        (&length::NODE, none(), json!({"text": null}), json!(4)),
        (&length::NODE, none(), json!({}), json!(0)),
    ]);
}

#[test]
fn concat_follows_the_declared_order() {
    let shape =
        |pins: &[&str], separator: &str| json!({"inputs": pins, "concatConfig": {"separator": separator}});
    check(&[
        (
            &concat::NODE,
            json!({"inputs": ["a", "b"]}),
            json!({"a": "x", "b": "y"}),
            json!("x y"),
        ),
        (
            &concat::NODE,
            shape(&["a", "b", "c"], ""),
            json!({"a": "x", "b": "y", "c": "z"}),
            json!("xyz"),
        ),
        (
            &concat::NODE,
            shape(&["b", "a"], "\\n"),
            json!({"a": 1, "b": 2, "ambient": 3}),
            json!("2\n1"),
        ),
        (
            &concat::NODE,
            shape(&["a", "b", "c"], "-"),
            json!({"a": "x", "b": null, "c": "z"}),
            json!("x--z"),
        ),
        (
            &concat::NODE,
            shape(&["a", "b", "c", "d", "e"], "|"),
            json!({"a": true, "b": 1.0, "c": [1, "q"], "d": {"k": null}}),
            json!("True|1.0|[1, 'q']|{'k': None}"),
        ),
    ]);
}

#[test]
fn contains_and_replace() {
    let none = || json!({});
    check(&[
        (
            &contains::NODE,
            none(),
            json!({"text": "hello", "pattern": "ell"}),
            json!(true),
        ),
        (
            &contains::NODE,
            none(),
            json!({"text": "hello", "pattern": ""}),
            json!(false),
        ),
        (
            &contains::NODE,
            none(),
            json!({"text": null, "pattern": "x"}),
            json!(false),
        ),
        (
            &contains::NODE,
            none(),
            json!({"text": "a1", "pattern": 1}),
            json!(true),
        ),
        (&is_empty_string::NODE, none(), json!({"text": ""}), json!(true)),
        (&is_empty_string::NODE, none(), json!({"text": " "}), json!(false)),
        (&is_empty_string::NODE, none(), json!({}), json!(true)),
        (&is_empty_string::NODE, none(), json!({"text": 0}), json!(false)),
        (
            &replace::NODE,
            none(),
            json!({"text": "aaa", "pattern": "a", "replacement": "b"}),
            json!("bbb"),
        ),
        (
            &replace::NODE,
            none(),
            json!({"text": "aaa", "pattern": "a", "replacement": "b", "mode": "first"}),
            json!("baa"),
        ),
        (
            &replace::NODE,
            none(),
            json!({"text": "aaa", "pattern": "a", "replacement": null, "mode": "2"}),
            json!("a"),
        ),
        (
            &replace::NODE,
            none(),
            json!({"text": "aaa", "pattern": ""}),
            json!("aaa"),
        ),
        (
            &replace::NODE,
            none(),
            json!({"text": "aaa", "pattern": "a", "replacement": "é", "mode": "weird"}),
            json!("ééé"),
        ),
    ]);
}

#[test]
fn split_join_and_substring() {
    let none = || json!({});
    check(&[
        (
            &split::NODE,
            none(),
            json!({"text": "a, b,,c ,"}),
            json!(["a", "b", "c"]),
        ),
        (
            &split::NODE,
            none(),
            json!({"text": "a, b,,c ,", "trim": false, "drop_empty": false}),
            json!(["a", " b", "", "c ", ""]),
        ),
        (
            &split::NODE,
            none(),
            json!({"text": "k=v=w", "delimiter": "=", "maxsplit": 1}),
            json!(["k", "v=w"]),
        ),
        (
            &split::NODE,
            none(),
            json!({"text": "one\ntwo\n", "delimiter": "\\n"}),
            json!(["one", "two"]),
        ),
        (
            &split::NODE,
            none(),
            json!({"text": "abc", "delimiter": ""}),
            json!(["abc"]),
        ),
        (&split::NODE, none(), json!({"text": null}), json!([])),
        (
            &join::NODE,
            none(),
            json!({"items": ["a", null, 3], "delimiter": "-"}),
            json!("a--3"),
        ),
        (&join::NODE, none(), json!({"items": "solo"}), json!("solo")),
        (&join::NODE, none(), json!({"items": null}), json!("")),
        (
            &join::NODE,
            none(),
            json!({"items": ["x", "y"], "delimiter": "\\n"}),
            json!("x\ny"),
        ),
        (
            &join::NODE,
            none(),
            json!({"items": [1, 2.0, 1e16, 1e-7, 0.30000000000000004, true, null, -0.0]}),
            json!("1,2.0,1e+16,1e-07,0.30000000000000004,True,,-0.0"),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": "abcdef", "start": 1, "end": 4}),
            json!("bcd"),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": "abcdef", "start": -3}),
            json!("def"),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": "abcdef", "start": 0, "end": -2}),
            json!("abcd"),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": "abc", "start": 5}),
            json!(""),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": "añb👍c", "start": 1, "end": 4}),
            json!("ñb👍"),
        ),
        (
            &substring::NODE,
            none(),
            json!({"text": 12345, "start": "1", "end": "3"}),
            json!("23"),
        ),
    ]);
    assert!(eval(&substring::NODE, none(), json!({"text": "a", "start": "x"})).is_err());
}

#[test]
fn templates() {
    let none = || json!({});
    let user = json!({"user": {"name": "Zoë"}, "n": 2, "list": ["a", null, 3]});
    check(&[
        (
            &format::NODE,
            none(),
            json!({"template": "{x:>5}|{y:.2f}|{z!r}", "values": {"x": "ab", "y": 3.24159, "z": "q"}}),
            json!("   ab|3.24|'q'"),
        ),
        (
            &format::NODE,
            none(),
            json!({"template": "{{literal}} {x}", "values": {"x": 1.5}}),
            json!("{literal} 1.5"),
        ),
        (
            &format::NODE,
            none(),
            json!({"template": "raw {x}", "values": "notobj"}),
            json!("raw {x}"),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "{{user.name}} has {{ n }} item(s): {{list | join(\"; \")}}", "vars": user}),
            json!("Zoë has 2 item(s): a; ; 3"),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "[{{missing}}][{{a.b[1].c}}][{{a.b.0.c}}]", "vars": {"a": {"b": [{"c": "x"}, {"c": "y"}]}}}),
            json!("[][y][x]"),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "{{o|json}} {{t | trim | upper}} {{t|nosuch|lower}}",
                   "vars": {"o": {"b": 1, "a": ["é"]}, "t": " Ab "}}),
            json!("{\"a\": [\"é\"], \"b\": 1} AB  ab "),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "{{list}} {{flag}} {{num}}", "vars": {"list": [1, "x"], "flag": true, "num": 2.0}}),
            json!("[1, 'x'] True 2.0"),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": null}),
            json!(""),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "{{x}}", "vars": "nope"}),
            json!(""),
        ),
        (
            &string_template::NODE,
            none(),
            json!({"template": "{{x|join}}|{{y|join('-')}}", "vars": {"x": [1, 2], "y": 5}}),
            json!("1, 2|5"),
        ),
    ]);
    let missing = eval(
        &format::NODE,
        none(),
        json!({"template": "Hi {nobody}", "values": {"name": "x"}}),
    );
    assert_eq!(missing, Err("KeyError: 'nobody'".to_owned()));
}
