//! The whole crate against recorded answers of CPython (`data/oracle.py` makes them).

use ag_pyvalue::{
    CmpOp, DumpOptions, Object, PyError, dumps, dumps_compact_sorted_ascii, dumps_default, dumps_pretty,
    dumps_unicode, float_repr, floor_mod, json_loads_lenient, len_chars, literal_eval, py_compare, py_pow,
    py_round, pyrepr, pystr, slice_str, str_format, strip_py, to_float, to_int, truthy,
};
use serde_json::Value;

#[derive(Debug)]
struct Case {
    function: String,
    args: Vec<Value>,
    /// The result, or class and message of the exception.
    expected: Result<Value, (String, String)>,
}

impl Case {
    fn text(&self, index: usize) -> &str {
        self.args[index].as_str().expect("a text argument")
    }

    fn float(&self, index: usize) -> f64 {
        self.text(index).parse().expect("a float argument")
    }

    fn run(&self, world: &Object) -> Result<Value, PyError> {
        let first = &self.args[0];
        Ok(match self.function.as_str() {
            "str" => pystr(first).into_owned().into(),
            "repr" => pyrepr(first).into(),
            "bool" => truthy(first).into(),
            "dumps_default" => dumps_default(first).into(),
            "dumps_unicode" => dumps_unicode(first).into(),
            "dumps_canonical" => dumps_compact_sorted_ascii(first).into(),
            "dumps_pretty" => dumps_pretty(first).into(),
            "dumps_indent_0" => dumps(first, DumpOptions::DEFAULT.with_indent(0)).into(),
            "dumps_indent_5_sorted" => {
                dumps(first, DumpOptions::DEFAULT.with_indent(5).with_sorted_keys(true)).into()
            }
            "float" => float_repr(to_float(first)?).into(),
            "int" => to_int(first)?.into(),
            "loads" => dumps_unicode(&json_loads_lenient(self.text(0))?).into(),
            "literal" => literal_eval(self.text(0))
                .map(|value| dumps_unicode(&value))
                .into(),
            "format" => str_format(self.text(0), world)?.into(),
            "slice" => slice_str(self.text(0), self.args[1].as_i64(), self.args[2].as_i64()).into(),
            "strip" => strip_py(self.text(0)).into(),
            "len" => len_chars(self.text(0)).into(),
            "round" => {
                let decimals = self.args[1].as_i64().expect("an integer argument");
                float_repr(py_round(self.float(0), decimals)?).into()
            }
            "pow" => float_repr(py_pow(self.float(0), self.float(1))?).into(),
            "mod" => float_repr(floor_mod(self.float(0), self.float(1))).into(),
            symbol => {
                let op = CmpOp::parse(symbol).expect("a function of the table");
                py_compare(first, op, &self.args[1])?.into()
            }
        })
    }
}

fn table() -> (Object, Vec<Case>) {
    let mut table: Value = serde_json::from_str(include_str!("data/oracle.json")).expect("the table is JSON");
    let Value::Object(world) = table["world"].take() else {
        panic!("world is an object")
    };
    let Value::Array(cases) = table["cases"].take() else {
        panic!("cases is a list")
    };
    let cases = cases.into_iter().map(|mut case| Case {
        function: case["fn"].as_str().expect("fn").to_owned(),
        args: case["args"].as_array().expect("args").clone(),
        expected: match case.get("err") {
            Some(error) => {
                let part = |index: usize| error[index].as_str().expect("class and message").to_owned();
                Err((part(0), part(1)))
            }
            None => Ok(case["ok"].take()),
        },
    });
    (world, cases.collect())
}

#[test]
fn answers_are_those_of_cpython() {
    let (world, cases) = table();
    assert!(cases.len() > 1000, "the table is complete: {}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let actual = case
            .run(&world)
            .map_err(|error| (error.class_name().to_owned(), error.message));
        if actual != case.expected {
            wrong.push(format!(
                "{}{:?}\n  expected {:?}\n  actual   {actual:?}",
                case.function, case.args, case.expected
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
