//! The sandbox as nodes see it: recorded behaviour, error texts, values.

use ag_sandbox::{
    CodeOutcome, CodeRequest, CodeSandbox, ExpressionRequest, Limits, MontySandbox, Phase, wrap_body,
};
use serde_json::{Value, json};

fn run(source: &str, input: &Value) -> CodeOutcome {
    MontySandbox::default().run(CodeRequest {
        source,
        function_name: "transform",
        input,
        permissions: "sandbox",
        limits: Limits::default(),
    })
}

#[track_caller]
fn value(source: &str, input: &Value) -> Value {
    match run(source, input) {
        CodeOutcome::Ok { value, .. } => value,
        other => panic!("{source}\n{other:?}"),
    }
}

#[track_caller]
fn failure(source: &str, input: &Value) -> (String, Phase) {
    match run(source, input) {
        CodeOutcome::Failed { error, phase, .. } => (error, phase),
        other => panic!("{source}\n{other:?}"),
    }
}

/// Sources and results of the recorded code vectors.
#[test]
fn recorded_results() {
    let cases = [
        (
            "def transform(_input):\n    a = _input.get('a')\n    return {'sum': sum(a), 'rev': list(reversed(a))}\n",
            json!({"a": [3, 1, 2]}),
            json!({"sum": 6, "rev": [2, 1, 3]}),
        ),
        (
            "def transform(d):\n    return {'big': 2 ** 53 + 1, 'neg': -(2 ** 40), 'tiny': 1e-12, 'third': 1 / 3, 'ten': 1e15}\n",
            json!({"a": 1}),
            json!({"big": 9007199254740993i64, "neg": -1099511627776i64, "tiny": 1e-12, "third": 0.3333333333333333, "ten": 1e15}),
        ),
        (
            "def transform(d):\n    a = d['a']\n    return {'r': [len(a), str(1.5), int('7'), float(2), bool([]), list(range(3)), dict(zip(['k'], [1])), sorted(a), max(a), min(a), sum(a), abs(-2), round(2.567, 1), isinstance(a, list), list(map(str, a)), [i for i, x in enumerate(a)], list(filter(None, [0, 1])), tuple(a)[0], len(set(a))]}\n",
            json!({"a": [3, 1, 3]}),
            json!({"r": [3, "1.5", 7, 2.0, false, [0, 1, 2], {"k": 1}, [1, 3, 3], 3, 1, 7, 2, 2.6, true, ["3", "1", "3"], [0, 1, 2], [1], 3, 2]}),
        ),
        (
            "BASE = 10\n\ndef fib(n):\n    a, b = 0, 1\n    while n > 0:\n        a, b = b, a + b\n        n -= 1\n    else:\n        pass\n    return a\n\ndef transform(d):\n    out = []\n    for i in d['ns']:\n        try:\n            out.append(BASE // i)\n        except:\n            out.append(None)\n        finally:\n            out.append(i)\n    def inner(*args, k=1, **kw):\n        return [len(args), k, sorted(kw)]\n    return {'out': out, 'fib': [fib(i) for i in range(8)], 'inner': inner(1, 2, k=3, z=4), 'tern': 'y' if out else 'n', 'setc': sorted({x % 3 for x in range(5)})}\n",
            json!({"ns": [0, 3, 4]}),
            json!({"out": [null, 0, 3, 3, 2, 4], "fib": [0, 1, 1, 2, 3, 5, 8, 13], "inner": [2, 3, ["z"]], "tern": "y", "setc": [0, 1, 2]}),
        ),
        (
            "def transform(d):\n    return {'ab': [d.get('a'), d.get('b'), 'a' in d, 'b' in d]}\n",
            json!({"a": {"deep": [1]}}),
            json!({"ab": [{"deep": [1]}, null, true, false]}),
        ),
        (
            "def transform(d):\n    d['a'].append(99)\n    d['new'] = 1\n    return {'n': len(d['a'])}\n",
            json!({"a": [1]}),
            json!({"n": 2}),
        ),
        ("def transform(_input):\n    pass\n", json!({"a": 1}), json!(null)),
        (
            "def transform(_input):\n    return _input['a'] * 3\n",
            json!({"a": "ab"}),
            json!("ababab"),
        ),
        (
            "def transform(d):\n    t = d['t']\n    words = [w.strip('.,!').lower() for w in t.split()]\n    counts = {}\n    for w in words:\n        counts[w] = counts.get(w, 0) + 1\n    return {'top': sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[0], 'title': t.title(), 'f': f\"{len(words):03d} {t[::-1][:5]!r}\", 'join': '|'.join(words[:2]), 'uni': t.upper().encode('utf-8').hex()[:8]}\n",
            json!({"t": "Été un, deux un, trois!"}),
            json!({"top": ["un", 2], "title": "Été Un, Deux Un, Trois!", "f": "005 '!sior'", "join": "été|un", "uni": "c38954c3"}),
        ),
    ];
    for (source, input, expected) in cases {
        let before = input.clone();
        assert_eq!(value(source, &input), expected, "{source}");
        assert_eq!(input, before, "the caller's input changed: {source}");
    }
}

#[test]
fn recorded_body_and_function_names() {
    let body = wrap_body(
        "total = 0\nfor x in items:\n    total += x * factor\nreturn {'total': total, 'n': len(items)}",
        "",
        ["items", "factor"],
    );
    assert_eq!(
        value(&body, &json!({"items": [1, 2, 3], "factor": 10})),
        json!({"total": 60, "n": 3})
    );
    let names = wrap_body(
        "return {'r': [my_pin, class_, p_1st]}",
        "transform",
        ["my-pin", "class", "1st"],
    );
    assert_eq!(
        value(&names, &json!({"my-pin": 1, "class": 2, "1st": 3})),
        json!({"r": [1, 2, 3]})
    );
    let sandbox = MontySandbox::default();
    let outcome = sandbox.run(CodeRequest {
        source: "def helper(x):\n    return x + 1\n\ndef run_it(d):\n    return {'v': helper(d['a'])}\n",
        function_name: "run_it",
        input: &json!({"a": 1}),
        permissions: "safe",
        limits: Limits::default(),
    });
    let CodeOutcome::Ok { value, stats } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(value, json!({"v": 2}));
    assert_eq!(stats.permissions, "sandbox");
    assert!(stats.duration_ms > 0.0);
}

#[test]
fn failure_texts_and_phases() {
    let cases = [
        (
            "def transform(d):\n    return 1 / 0",
            "Runtime error: division by zero",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    return d['missing']",
            "Runtime error: 'missing'",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    raise ValueError('bad: %s' % d['a'])",
            "Runtime error: name 'ValueError' is not defined",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    return open('/etc/passwd').read()",
            "Runtime error: name 'open' is not defined",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    return any([1])",
            "Runtime error: name 'any' is not defined",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    try:\n        1 / 0\n    except Exception:\n        return 1",
            "Runtime error: name 'Exception' is not defined",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    class A:\n        pass\n    return A()",
            "Runtime error: __build_class__ not found",
            Phase::Runtime,
        ),
        (
            "1 / 0\ndef transform(d):\n    return 1",
            "Execution error: division by zero",
            Phase::Load,
        ),
        (
            "def helper(): return 1 / 0\nhelper()\ndef transform(d): pass",
            "Execution error: division by zero",
            Phase::Load,
        ),
        (
            "def other(d):\n    return 1",
            "Function 'transform' not defined in code",
            Phase::Load,
        ),
        (
            "if False:\n    def transform(d): pass",
            "Function 'transform' not defined in code",
            Phase::Load,
        ),
        ("", "Function 'transform' not defined in code", Phase::Load),
        (
            "def transform(d):\n    return transforms(d)",
            "Runtime error: name 'transforms' is not defined",
            Phase::Runtime,
        ),
        (
            "import os\ndef transform(d):\n    return os.getcwd()",
            "Imports are not allowed",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    return eval('1+1')",
            "'eval' is not allowed",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    return ().__class__.__bases__",
            "Access to dunder attributes ('__bases__') is not allowed",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    return {",
            "Syntax error: '{' was never closed (<unknown>, line 2)",
            Phase::Compile,
        ),
        (
            "x = = 1",
            "Syntax error: invalid syntax (<unknown>, line 1)",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    yield 1",
            "Syntax error: 'yield' is not supported in code nodes (<unknown>, line 2)",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    match d:\n        case 1: pass",
            "Syntax error: pattern matching (match statements): not supported in code nodes (<unknown>, line 2)",
            Phase::Compile,
        ),
        (
            "return 1",
            "Syntax error: 'return' outside function (<unknown>, line 1)",
            Phase::Compile,
        ),
        (
            "def transform(d):\n    return '%s' % d['a']",
            "Runtime error: '%' formatting of text is not supported in code nodes; use an f-string or str.format",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    return transform(d)",
            "Runtime error: maximum recursion depth exceeded",
            Phase::Runtime,
        ),
        (
            "def transform(d):\n    assert d == 2",
            "Runtime error: ",
            Phase::Runtime,
        ),
        (
            "transform = 3",
            "Runtime error: 'int' object is not callable",
            Phase::Runtime,
        ),
        (
            "def transform():\n    pass",
            "Runtime error: transform() takes 0 positional arguments but 1 was given",
            Phase::Runtime,
        ),
    ];
    for (source, error, phase) in cases {
        assert_eq!(
            failure(source, &json!({"a": 1})),
            (error.to_owned(), phase),
            "{source}"
        );
    }
}

#[test]
fn a_builtin_is_no_entry_function() {
    let outcome = MontySandbox::default().run(CodeRequest {
        source: "x = 1",
        function_name: "len",
        input: &json!({}),
        permissions: "",
        limits: Limits::default(),
    });
    let CodeOutcome::Failed { error, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(error, "Function 'len' not defined in code");
}

#[test]
fn permissions_are_refused_with_their_texts() {
    for (permissions, error) in [
        ("full-access", ag_sandbox::FULL_ACCESS_DISABLED.to_owned()),
        (
            "weird",
            "Unsupported code execution permissions: 'weird'".to_owned(),
        ),
    ] {
        let outcome = MontySandbox::default().run(CodeRequest {
            source: "def transform(d): return 1",
            function_name: "transform",
            input: &json!({}),
            permissions,
            limits: Limits::default(),
        });
        let CodeOutcome::Failed {
            error: text, phase, ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!((text, phase), (error, Phase::Compile));
    }
}

#[test]
fn values_json_cannot_hold() {
    for (expression, type_name) in [
        ("{1, 2}", "set"),
        ("[b'a']", "bytes"),
        ("{'k': range(3)}", "range"),
        ("len", "builtin_function_or_method"),
        ("lambda: 1", "function"),
        ("int", "type"),
    ] {
        let outcome = run(&format!("def transform(d):\n    return {expression}"), &json!({}));
        let CodeOutcome::Unserialisable {
            type_name: name,
            error,
            ..
        } = outcome
        else {
            panic!("{expression}: {outcome:?}")
        };
        assert_eq!(name, type_name);
        assert_eq!(
            error,
            format!("TypeError: Object of type {type_name} is not JSON serializable")
        );
    }
    let cycle = run("def transform(d):\n    d['me'] = d\n    return d", &json!({}));
    assert!(
        matches!(cycle, CodeOutcome::Unserialisable { ref error, .. } if error == "ValueError: Circular reference detected"),
        "{cycle:?}"
    );
    assert_eq!(
        value(
            "def transform(d):\n    return {0: (1, 2), True: None, None: 1.5, 2.0: 'x'}",
            &json!({})
        ),
        json!({"0": [1, 2], "true": null, "null": 1.5, "2.0": "x"})
    );
    assert_eq!(
        value(
            "def transform(d):\n    return [float('nan'), float('inf'), 10 ** 30]",
            &json!({})
        ),
        json!([null, null, 1e30])
    );
}

#[test]
fn language_features_of_ordinary_bodies() {
    let cases = [
        (
            "print('silent', d)\n    return sum(x * x for x in range(4))",
            json!(14),
        ),
        (
            "d = {'a': 1, 'b': 2}\n    del d['a']\n    return d",
            json!({"b": 2}),
        ),
        ("l = [1, 2, 3]\n    del l[0], l[-1]\n    return l", json!([2])),
        (
            "k = {'x': {'y': 1}}\n    for key in list(k): del k[key]['y']\n    return k",
            json!({"x": {}}),
        ),
        (
            "return '{:>5}|{:.2f}|{!r}'.format('a', 1.005, 'q')",
            json!("    a|1.00|'q'"),
        ),
        (
            "a, *b = [1, 2, 3]\n    return [a, b, (c := 4), c]",
            json!([1, [2, 3], 4, 4]),
        ),
        (
            "n = 0\n    def bump():\n        nonlocal n\n        n += 1\n        return n\n    return [bump(), bump()]",
            json!([1, 2]),
        ),
        (
            "return sorted([{'k': 2}, {'k': 1}], key=lambda item: item['k'], reverse=True)[0]",
            json!({"k": 2}),
        ),
        (
            "return [*'ab', *[1]], {**{'a': 1}, 'b': 2}",
            json!([["a", "b", 1], {"a": 1, "b": 2}]),
        ),
        ("return '''x\n  y'''", json!("x\n  y")),
        (
            "return type(1) is int and isinstance('a', (int, str))",
            json!(true),
        ),
        (
            "x: int = 3\n    return f'{x=} {x!r:>3} {\"q\"}'",
            json!("x=3   3 q"),
        ),
        (
            "return 7 // -2, 7 % -2, 2 ** -1, 1 < 2 < 3, not 1, -7 // 2",
            json!([-4, -1, 0.5, true, false, -4]),
        ),
        (
            "return list(zip([1, 2], 'ab')), dict(a=1), set([1]) == {1}",
            json!([[[1, "a"], [2, "b"]], {"a": 1}, true]),
        ),
        (
            "x = [3, 1]\n    x.sort()\n    x.extend((5,))\n    return x[::-1]",
            json!([5, 3, 1]),
        ),
    ];
    for (body, expected) in cases {
        let source = format!("def transform(d):\n    {body}");
        assert_eq!(value(&source, &json!({})), expected, "{body}");
    }
    assert_eq!(
        value("def transform(d):\r\n    return 1\r\n", &json!({})),
        json!(1)
    );
    assert_eq!(
        value("transform = lambda d: d['a'] # x", &json!({"a": 2})),
        json!(2)
    );
    assert_eq!(value("def transform(d): return 5 # end \\", &json!({})), json!(5));
}

#[test]
fn expressions() {
    let sandbox = MontySandbox::default();
    let evaluate = |expression: &str, input: &Value| match sandbox.evaluate(ExpressionRequest {
        expression,
        input,
        limits: Limits::default(),
    }) {
        CodeOutcome::Ok { value, .. } => Ok(value),
        CodeOutcome::Failed { error, .. } => Err(error),
        other => panic!("{other:?}"),
    };
    assert_eq!(evaluate("a * 2 + 1", &json!({"a": 20})), Ok(json!(41)));
    assert_eq!(
        evaluate(" x['my key'] + len(input) # tail", &json!({"my key": 1})),
        Ok(json!(2))
    );
    assert_eq!(evaluate("x + 1", &json!(2)), Ok(json!(3)));
    assert_eq!(evaluate("x + 1", &json!({"x": 5})), Ok(json!(6)));
    assert_eq!(
        evaluate("[y for y in items if y > 1]", &json!({"items": [1, 2]})),
        Ok(json!([2]))
    );
    assert_eq!(
        evaluate("a + missing_name", &json!({"a": 1})),
        Err("name 'missing_name' is not defined".into())
    );
    assert_eq!(evaluate("max", &json!({"max": 3})), Ok(json!(3)));
    assert_eq!(
        evaluate("1 +", &json!({})),
        Err("invalid syntax (<string>, line 1)".into())
    );
    assert_eq!(
        evaluate("1) + (2", &json!({})),
        Err("invalid syntax (<string>, line 1)".into())
    );
    assert_eq!(
        evaluate("open", &json!({})),
        Err("name 'open' is not defined".into())
    );
    assert_eq!(evaluate("1 / 0", &json!({})), Err("division by zero".into()));
    assert_eq!(
        evaluate("().__class__", &json!({})),
        Err("Access to dunder attributes ('__class__') is not allowed".into())
    );
}
