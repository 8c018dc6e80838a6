//! The 422 answers, kind by kind.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;

/// Reads one body field and gives the answer's `detail`, or the value.
fn body<K: Kind<Out: serde::Serialize>>(kind: K, given: &Value) -> Value {
    let bytes = Bytes::from(given.to_string());
    let mut reader = Reader::new(vec![], "", BodyRule::Required, Some("application/json"), bytes);
    let value = reader.body().required("f", kind);
    finish(reader, &value)
}

fn finish(reader: Reader, value: &impl serde::Serialize) -> Value {
    match reader.finish() {
        Ok(()) => json!(value),
        Err(error) => error.body()["detail"].take_first(),
    }
}

trait TakeFirst {
    fn take_first(&self) -> Value;
}

impl TakeFirst for Value {
    fn take_first(&self) -> Value {
        match self.as_array().map(Vec::as_slice) {
            Some([one]) => one.clone(),
            _ => self.clone(),
        }
    }
}

fn issue(kind: &str, msg: &str, input: &Value) -> Value {
    json!({"type": kind, "loc": ["body", "f"], "msg": msg, "input": input})
}

#[test]
fn values_that_are_read() {
    let given = |value: Value| json!({"f": value});
    assert_eq!(body(string(), &given(json!("x"))), "x");
    for (value, expected) in [
        (json!(5), 5),
        (json!("5"), 5),
        (json!(" -5.00 "), -5),
        (json!(5.0), 5),
        (json!(true), 1),
        (json!("1_0"), 10),
    ] {
        assert_eq!(body(int(), &given(value.clone())), expected, "{value}");
    }
    assert_eq!(body(int(), &given(json!("99999999999999999999"))), i64::MAX);
    for (value, expected) in [
        (json!(true), true),
        (json!("YES"), true),
        (json!("t"), true),
        (json!(1), true),
        (json!("off"), false),
        (json!(0.0), false),
        (json!("N"), false),
    ] {
        assert_eq!(body(boolean(), &given(value.clone())), expected, "{value}");
    }
    assert_eq!(body(float(), &given(json!("0.5"))), 0.5);
    assert_eq!(body(object(), &given(json!({"a": 1}))), json!({"a": 1}));
    assert_eq!(body(list(string()), &given(json!(["a"]))), json!(["a"]));
    assert_eq!(body(boolean_or_string(), &given(json!("1"))), "1");
    assert_eq!(body(boolean_or_string(), &given(json!(1))), true);
    assert_eq!(body(any(), &given(Value::Null)), Value::Null);
}

#[test]
fn values_that_are_refused() {
    let text = "Input should be a valid string";
    let whole = "Input should be a valid integer";
    let unclear = "Input should be a valid boolean, unable to interpret input";
    let check =
        |answer: Value, kind: &str, msg: &str, input: Value| assert_eq!(answer, issue(kind, msg, &input));
    let f = |value: Value| json!({"f": value});
    check(body(string(), &f(json!(5))), "string_type", text, json!(5));
    check(body(string(), &f(Value::Null)), "string_type", text, Value::Null);
    let unparsable = "Input should be a valid integer, unable to parse string as an integer";
    for bad in ["", "5x", "--5", "5.5", "_5", "1__0", "."] {
        check(body(int(), &f(json!(bad))), "int_parsing", unparsable, json!(bad));
    }
    let fraction = "Input should be a valid integer, got a number with a fractional part";
    check(
        body(int(), &f(json!(5.5))),
        "int_from_float",
        fraction,
        json!(5.5),
    );
    check(body(int(), &f(json!([]))), "int_type", whole, json!([]));
    check(
        body(boolean(), &f(json!("maybe"))),
        "bool_parsing",
        unclear,
        json!("maybe"),
    );
    check(body(boolean(), &f(json!(2))), "bool_parsing", unclear, json!(2));
    check(
        body(boolean(), &f(Value::Null)),
        "bool_type",
        "Input should be a valid boolean",
        Value::Null,
    );
    let number = "Input should be a valid number, unable to parse string as a number";
    check(body(float(), &f(json!("x"))), "float_parsing", number, json!("x"));
    check(
        body(float(), &f(json!({}))),
        "float_type",
        "Input should be a valid number",
        json!({}),
    );
    check(
        body(object(), &f(json!([1]))),
        "dict_type",
        "Input should be a valid dictionary",
        json!([1]),
    );
    check(
        body(list(string()), &f(json!({}))),
        "list_type",
        "Input should be a valid list",
        json!({}),
    );
    let union = body(boolean_or_string(), &f(json!([])));
    assert_eq!(union[0]["loc"], json!(["body", "f", "bool"]));
    assert_eq!(union[1]["loc"], json!(["body", "f", "str"]));
}

#[test]
fn bounds_name_themselves() {
    let bounded = |answer: &Value| {
        (
            answer["type"].clone(),
            answer["msg"].clone(),
            answer["ctx"].clone(),
        )
    };
    let f = |value: Value| json!({"f": value});
    for (answer, kind, msg, ctx) in [
        (
            body(int().ge(1), &f(json!(0))),
            "greater_than_equal",
            "Input should be greater than or equal to 1",
            json!({"ge": 1}),
        ),
        (
            body(int().gt(1), &f(json!(1))),
            "greater_than",
            "Input should be greater than 1",
            json!({"gt": 1}),
        ),
        (
            body(int().le(9), &f(json!("10"))),
            "less_than_equal",
            "Input should be less than or equal to 9",
            json!({"le": 9}),
        ),
        (
            body(int().lt(9), &f(json!(9))),
            "less_than",
            "Input should be less than 9",
            json!({"lt": 9}),
        ),
        (
            body(float().gt(0.1), &f(json!("nan"))),
            "greater_than",
            "Input should be greater than 0.1",
            json!({"gt": 0.1}),
        ),
        (
            body(float().le(60.0), &f(json!(61))),
            "less_than_equal",
            "Input should be less than or equal to 60",
            json!({"le": 60.0}),
        ),
        (
            body(string().min_len(1), &f(json!(""))),
            "string_too_short",
            "String should have at least 1 character",
            json!({"min_length": 1}),
        ),
        (
            body(string().max_len(2), &f(json!("äöü"))),
            "string_too_long",
            "String should have at most 2 characters",
            json!({"max_length": 2}),
        ),
    ] {
        assert_eq!(bounded(&answer), (json!(kind), json!(msg), ctx), "{answer}");
    }
}

#[derive(Default, serde::Serialize)]
struct Inner {
    id: String,
    after: i64,
}

impl NestedFields for Inner {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            id: fields.required("id", string()),
            after: fields.or("after", int().ge(0), 0),
        }
    }
}

#[test]
fn everything_that_fails_is_reported_in_order() {
    let bytes = Bytes::from(r#"{"runs":[{"after":-1},3],"name":7,"kept":1,"more":true}"#);
    let path = vec![("id".to_owned(), "x".to_owned())];
    let mut reader = Reader::new(
        path,
        "limit=0&limit=9&tag=a&tag=b",
        BodyRule::Required,
        Some("application/json; charset=utf-8"),
        bytes,
    );
    assert_eq!(reader.path().required("id", string()), "x");
    let mut query = reader.query();
    assert_eq!(query.or("limit", int().ge(1), 5), 9, "the last of a repeated key");
    assert_eq!(query.or_default("tag", list(string())), ["a", "b"]);
    assert_eq!(query.required("must", string()), "");
    drop(query);
    let mut body = reader.strict_body();
    body.or_default("runs", list(nested::<Inner>()));
    body.required("name", string());
    assert_eq!(body.or("kept", int(), 0), 1);
    assert_eq!(body.optional("absent", string()), None);
    body.required("gone", string());
    drop(body);
    let detail = reader.finish().expect_err("fails").body()["detail"].clone();
    let seen: Vec<(&str, String)> = detail
        .as_array()
        .expect("list")
        .iter()
        .map(|issue| (issue["type"].as_str().expect("type"), issue["loc"].to_string()))
        .collect();
    let expected = [
        ("missing", r#"["query","must"]"#),
        ("missing", r#"["body","runs",0,"id"]"#),
        ("greater_than_equal", r#"["body","runs",0,"after"]"#),
        ("model_attributes_type", r#"["body","runs",1]"#),
        ("string_type", r#"["body","name"]"#),
        ("missing", r#"["body","gone"]"#),
        ("extra_forbidden", r#"["body","more"]"#),
    ];
    assert_eq!(seen, expected.map(|(kind, loc)| (kind, loc.to_owned())));
    assert_eq!(detail[0]["input"], Value::Null);
    assert_eq!(detail[1]["input"], json!({"after": -1}));
    assert_eq!(
        detail[5]["input"]["runs"],
        json!([{"after": -1}, 3]),
        "the whole object as it was sent"
    );
}

#[test]
fn bodies() {
    let read = |rule, content_type: Option<&str>, text: &str| {
        let mut reader = Reader::new(vec![], "", rule, content_type, Bytes::from(text.to_owned()));
        let value = reader.body().or("f", int(), 0);
        finish(reader, &value)
    };
    let json_type = Some("application/json");
    assert_eq!(read(BodyRule::Required, json_type, r#"{"f":1}"#), 1);
    assert_eq!(
        read(BodyRule::Required, Some("application/x+json"), r#"{"f":1}"#),
        1
    );
    assert_eq!(read(BodyRule::Optional, None, ""), 0);
    let missing = json!({"type": "missing", "loc": ["body"], "msg": "Field required", "input": null});
    assert_eq!(read(BodyRule::Required, json_type, ""), missing);
    for (content_type, text, input) in [
        (None, r#"{"f":1}"#, json!(r#"{"f":1}"#)),
        (Some("text/plain"), "x", json!("x")),
        (json_type, "[1]", json!([1])),
    ] {
        let answer = read(BodyRule::Required, content_type, text);
        assert_eq!(
            (&answer["type"], &answer["input"]),
            (&json!("model_attributes_type"), &input)
        );
    }
}

#[test]
fn syntax_errors_have_offsets_in_characters() {
    for (text, offset, reason) in [
        (r#"{"a":}"#, 5, "Expecting value"),
        (r#"{"é":x}"#, 5, "Expecting value"),
        (r#"{"a":1"#, 6, "Expecting value"),
        ("{\n\"a\":NaN}", 6, "Expecting value"),
        (r#"{"a":-Infinity}"#, 6, "Expecting value"),
        (r#"{"a":1} x"#, 8, "Extra data"),
    ] {
        let issue = parse_json(text.as_bytes()).expect_err(text);
        assert_eq!(issue.kind, "json_invalid");
        assert_eq!(json!(issue)["loc"], json!(["body", offset]), "{text}");
        assert_eq!(json!(issue)["ctx"], json!({"error": reason}), "{text}");
    }
    let deep = "[".repeat(100_000);
    for text in [
        r#"{"a":1e999}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00x"}"#,
        deep.as_str(),
        "\u{feff}{}",
    ] {
        assert_eq!(
            parse_json(text.as_bytes()).map_err(|issue| issue.kind),
            Err("json_invalid")
        );
    }
    assert_eq!(
        parse_json(b"\"\xff\"").map_err(|issue| issue.kind),
        Err("json_invalid")
    );
    assert_eq!(
        parse_json(br#"{"a":"\u0000"}"#).map_err(|issue| issue.kind),
        Ok(json!({"a": "\u{0}"}))
    );
}
