//! Properties that hold for all values, not only for those of the recorded table.

use ag_pyvalue::{
    DumpOptions, Object, dumps, float_repr, floor_mod, json_loads_lenient, literal_eval, py_cmp, py_eq,
    pyrepr, round_half_even, slice_str, str_format, to_float,
};
use proptest::{collection, prelude::*, test_runner::RngSeed};
use serde_json::Value;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO)
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|entries| Value::Object(Object::from_iter(entries))),
        ]
    })
}

fn options() -> impl Strategy<Value = DumpOptions> {
    (
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(0_usize..4),
        any::<bool>(),
    )
        .prop_map(|(ascii, sort_keys, indent, is_compact)| DumpOptions {
            ascii,
            sort_keys,
            indent,
            separators: if is_compact { (",", ":") } else { (", ", ": ") },
        })
}

/// The slice rule on a list of characters, written the long way.
fn slice_chars(text: &str, start: Option<i64>, end: Option<i64>) -> String {
    let chars: Vec<char> = text.chars().collect();
    let length = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let clamp = |bound: i64| {
        if bound < 0 {
            (length + bound).max(0)
        } else {
            bound.min(length)
        }
    };
    let (from, to) = (start.map_or(0, clamp), end.map_or(length, clamp));
    (from..to)
        .filter_map(|index| usize::try_from(index).ok())
        .map(|index| chars[index])
        .collect()
}

/// A fixed seed: the same inputs in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(11),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn json_text_reads_back(value in json(), options in options()) {
        let text = dumps(&value, options);
        if options.ascii {
            prop_assert!(text.is_ascii());
        }
        prop_assert_eq!(&json_loads_lenient(&text), &Ok(value.clone()));
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).ok(), &Some(value));
    }

    #[test]
    fn repr_reads_back(value in json()) {
        prop_assert_eq!(literal_eval(&pyrepr(&value)), Some(value));
    }

    #[test]
    fn floats_read_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let text = float_repr(value);
        let read = to_float(&Value::from(text)).map(f64::to_bits).ok();
        let expected = if value.is_nan() { f64::NAN } else { value };
        prop_assert_eq!(read, Some(expected.to_bits()));
    }

    #[test]
    fn slices_count_code_points(text in ".{0,10}", start in proptest::option::of(-12_i64..12), end in proptest::option::of(-12_i64..12)) {
        prop_assert_eq!(slice_str(&text, start, end), slice_chars(&text, start, end));
    }

    #[test]
    fn equality_and_order_agree(a in json(), b in json()) {
        prop_assert!(py_eq(&a, &a));
        prop_assert_eq!(py_eq(&a, &b), py_eq(&b, &a));
        if let Ok(order) = py_cmp(&a, &b) {
            prop_assert_eq!(order.is_eq(), py_eq(&a, &b));
            prop_assert_eq!(py_cmp(&b, &a), Ok(order.reverse()));
        }
    }

    #[test]
    fn remainder_has_the_sign_of_the_divisor(a in -1e6..1e6_f64, b in prop_oneof![-1e3..-1e-3_f64, 1e-3..1e3_f64]) {
        let rest = floor_mod(a, b);
        prop_assert_eq!(rest.is_sign_negative(), b < 0.0);
        prop_assert!(rest.abs() <= b.abs());
    }

    #[test]
    fn rounding_moves_at_most_half_a_unit(value in -1e9..1e9_f64, decimals in -6_i64..6) {
        let unit = 10_f64.powi(i32::try_from(-decimals).unwrap_or(0));
        prop_assert!((round_half_even(value, decimals) - value).abs() <= unit * 0.5 + value.abs() * f64::EPSILON);
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,40}", pieces in collection::vec("[\\[\\]{}()'\"\\\\,:!.#0-9eEx_+<>=^ \na-fnru-]{0,6}", 0..8)) {
        let object = Object::from_iter([("a".to_owned(), Value::from(1.5)), ("b".to_owned(), Value::from("é"))]);
        for text in [text, pieces.concat()] {
            let _ = json_loads_lenient(&text);
            let _ = literal_eval(&text);
            let _ = str_format(&text, &object);
            let _ = str_format(&format!("{{a:{text}}}{{b:{text}}}"), &object);
            let _ = to_float(&Value::from(text));
        }
    }
}
