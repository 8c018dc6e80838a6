use serde_json::{Value, json};

use super::*;
use crate::testing::eval;

#[test]
fn results_follow_python() {
    let table: &[(&NodeType, Value, Value)] = &[
        (&add::NODE, json!({"a": 2, "b": 3}), json!(5.0)),
        (&subtract::NODE, json!({"a": 2, "b": 5}), json!(-3.0)),
        (&multiply::NODE, json!({"a": 1.5, "b": 4}), json!(6.0)),
        (&divide::NODE, json!({"a": 7, "b": 2}), json!(3.5)),
        (&modulo::NODE, json!({"a": 7, "b": 3}), json!(1.0)),
        (&modulo::NODE, json!({"a": -7, "b": 3}), json!(2.0)),
        (&modulo::NODE, json!({"a": 7, "b": -3}), json!(-2.0)),
        (&modulo::NODE, json!({"a": -7.5, "b": 2}), json!(0.5)),
        (&power::NODE, json!({"base": 2, "exp": 10}), json!(1024.0)),
        (&power::NODE, json!({"base": 2, "exp": -2}), json!(0.25)),
        (&power::NODE, json!({"base": 0, "exp": 0}), json!(1.0)),
        (&abs::NODE, json!({"value": -4.25}), json!(4.25)),
        (
            &round::NODE,
            json!({"value": 3.24159, "decimals": 2}),
            json!(3.24),
        ),
        (&round::NODE, json!({"value": 0.5}), json!(0.0)),
        (&round::NODE, json!({"value": -1.5}), json!(-2.0)),
        (&round::NODE, json!({"value": 2.675, "decimals": 2}), json!(2.67)),
        (
            &round::NODE,
            json!({"value": 1250, "decimals": -2}),
            json!(1200.0),
        ),
        (&round::NODE, json!({"value": 1e20}), json!(1e20)),
        // Conversions.
        (&add::NODE, json!({"a": " 12 ", "b": "0.5"}), json!(12.5)),
        (&add::NODE, json!({"a": true, "b": 1}), json!(2.0)),
        (&multiply::NODE, json!({"a": "1e3", "b": 2}), json!(2000.0)),
        (&subtract::NODE, json!({"a": "-7", "b": "+2"}), json!(-9.0)),
        (&add::NODE, json!({"a": "1_000", "b": 1}), json!(1001.0)),
        // Missing pins.
        (&add::NODE, json!({}), json!(0.0)),
        (&divide::NODE, json!({"a": 9}), json!(9.0)),
        (&modulo::NODE, json!({"a": 9.5}), json!(0.5)),
        (&power::NODE, json!({"base": 6}), json!(6.0)),
        (&round::NODE, json!({"value": 2.5}), json!(2.0)),
        // One possible value.
        (&random_int::NODE, json!({"min": 5, "max": 5}), json!(5)),
        (&random_int::NODE, json!({"min": "x", "max": 0}), json!(0)),
        (&random_int::NODE, json!({"min": "-3.9", "max": -3}), json!(-3)),
        (&random_float::NODE, json!({"min": 1.5, "max": 1.5}), json!(1.5)),
    ];
    for (node, values, expected) in table {
        let found = eval(node, json!({}), values.clone()).expect(node.spec.kind);
        assert_eq!(found, json!({"result": expected}), "{} {values}", node.spec.kind);
    }
}

#[test]
fn errors_name_their_class() {
    let table: &[(&NodeType, Value, &str)] = &[
        (
            &add::NODE,
            json!({"a": "twelve"}),
            "ValueError: could not convert string to float: 'twelve'",
        ),
        (
            &add::NODE,
            json!({"a": null}),
            "TypeError: float() argument must be a string or a real number, not 'NoneType'",
        ),
        (&divide::NODE, json!({"b": 0}), "ValueError: Division by zero"),
        (&modulo::NODE, json!({"b": 0}), "ValueError: Modulo by zero"),
        (
            &multiply::NODE,
            json!({"a": 1e200, "b": 1e200}),
            "ValueError: Out of range float values are not JSON compliant",
        ),
        (
            &power::NODE,
            json!({"base": -8, "exp": 0.5}),
            "TypeError: Object of type complex is not JSON serializable",
        ),
    ];
    for (node, values, expected) in table {
        let error = eval(node, json!({}), values.clone()).expect_err(expected);
        assert_eq!(&error, expected, "{} {values}", node.spec.kind);
    }
    assert!(eval(&power::NODE, json!({}), json!({"base": 10, "exp": 400})).is_err());
    assert!(eval(&power::NODE, json!({}), json!({"base": 0, "exp": -1})).is_err());
}

#[test]
fn random_numbers_stay_between_swapped_bounds() {
    for _ in 0..3 {
        let number = eval(&random_int::NODE, json!({}), json!({"min": 9, "max": 7})).expect("number");
        assert!((7..=9).contains(&number["result"].as_i64().expect("integer")));
        let number = eval(&random_float::NODE, json!({}), json!({"min": 2, "max": 1})).expect("number");
        assert!((1.0..=2.0).contains(&number["result"].as_f64().expect("float")));
    }
}
