"""Writes oracle.json: what CPython 3.11 answers for the rules that this crate reproduces.

Run with `python3.11 oracle.py > oracle.json` after adding a case; the Rust test reads the file only.
Each case is {"fn", "args", "ok"} or {"fn", "args", "err": [class, message]}. Floats travel as their
repr, so that minus zero, NaN and infinities survive.
"""

import ast
import json
import math

CASES = []


def case(name, fn, *args):
    try:
        outcome = {"ok": fn(*args)}
    except Exception as error:  # the class and text are the expected result
        outcome = {"err": [type(error).__name__, str(error)]}
    CASES.append({"fn": name, "args": list(args)} | outcome)


TEXTS = ["", "plain", "it's", 'say "x"', "both ' and \"", "a\\b\n\r\t", "\x00\x1f\x7f\x80\xa0\xad", "é€ñ", "😀\U0001f9ff",
         "\u200b\u2028\u2029\ufeff", "\u3000\u202f", "\ue000\U000e0001\U0010ffff\u0378", "e\u0301", "\u0600\ufffd"]
FLOATS = [0.0, -0.0, 1.0, 0.1, 0.7, 1e-4, 9.999e-5, 1e-5, 1e-7, 1.5e-7, 123456789.125, 9999999999999998.0, 1e16,
          1.2345e16, 1e21, 1e22, 1e23, 1e100, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
          0.30000000000000004, 2.675, 1 / 3, -1e16, 4.35, 100.0, 1e15, 814551705488034.25, 9487674000279.3125, 2.0 ** -44, 2.0 ** 60]
VALUES = [None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, [], {}, [[]], {"a": {}}, [1, None, "it's"],
          {"a": [1, None, "it's"], "b'": {"c": 1.0, 'd"': [True, False]}}, ["x", 'y"\'', "\n", "é\x7f"],
          {"é": "😀", "": [], "z": 1e-07, "a": 1e+16}, [0.7, 1.0, -0.0], {"b": 1, "a": 2, "B": 3, "é": 4, "😀": 5, "\ufffd": 6}]

for value in VALUES + FLOATS + TEXTS:
    case("str", str, value)
    case("repr", repr, value)
    case("bool", bool, value)
    case("dumps_default", json.dumps, value)
    case("dumps_unicode", lambda v: json.dumps(v, ensure_ascii=False), value)
for value in VALUES:
    case("dumps_canonical", lambda v: json.dumps(v, sort_keys=True, separators=(",", ":")), value)
    case("dumps_pretty", lambda v: json.dumps(v, ensure_ascii=False, indent=2), value)
    case("dumps_indent_0", lambda v: json.dumps(v, indent=0), value)
    case("dumps_indent_5_sorted", lambda v: json.dumps(v, indent=5, sort_keys=True), value)

NUMBER_TEXTS = ["1", " 1 ", "\u00a0\u20031.5\n", "+1", "-1", "- 1", "1_000", "1__0", "_1", "1_", "1_.5", "1._5", "1_0.0_1e1_0", "1e_5",
                "1.", ".5", ".", "", " ", "x", "1x", "0x10", "inf", "-Infinity", "INFINITY", "iNf", "infinit", "nan", "-NaN", "1e400",
                "1e-400", "-0", "00012", "1e5", "3.5", "١٢٣", "１２.５", "²", "1\x00", "it's 5", "\x1c7\x1f", "\x1c7\x1f\xa0", "\x0b7\x0c", "1,5", "True", "None",
                "9223372036854775807", "9007199254740993", "0.1", "1E+2", "+.5e-1", "e5", "+", "--1", "é" * 3, "1 2",
                "y" * 250]
for value in NUMBER_TEXTS + [None, True, False, [], {}, 5, 2.9, -2.9, 2**63 - 1, 2**64 - 1, 1e-320]:
    case("float", lambda v: repr(float(v)), value)
    if value != 2**64 - 1:
        case("int", int, value)
case("int", int, "1" * 5000)

PAIRS = [(1, 1.0), (1, True), (0, False), (0, None), ("1", 1), ("a", "a"), ([1, True], [1.0, 1]), ([1], [1, 2]),
         ({"a": 1, "b": [2]}, {"b": [2.0], "a": True}), ({"a": 1}, {"b": 1}), ({"a": 1}, {"a": 1, "b": 2}), (None, None), ("", None),
         ([], {}), (2**53 + 1, float(2**53)), (2**63 - 1, float(2**63)), (2**64 - 1, float(2**64)), (-1, 2**64 - 1), (0.0, -0.0),
         (1, 2), (2, 1.5), (True, 2), ("a", "b"), ("Z", "a"), ("😀", "\ufffd"), ("a", "ab"), ("a", 1), (1, "a"), ([1, 2], [1, 3]),
         ([1, "x"], [1, 2]), ([1, [2, "a"]], [1, [2, "b"]]), ([[1], 2], [["a"], 1]), ({}, {"a": 1}), (None, 1), ([], 1), (1.5, None),
         (True, False), ([1, "x"], [1, "x", None]), (1e308, 2**64 - 1)]
for a, b in PAIRS:
    case("==", lambda a, b: a == b, a, b)
    case("!=", lambda a, b: a != b, a, b)
    case("<", lambda a, b: a < b, a, b)
    case("<=", lambda a, b: a <= b, a, b)
    case(">", lambda a, b: a > b, a, b)
    case(">=", lambda a, b: a >= b, a, b)

JSON_TEXTS = ["", "  ", "[", "{", "[1", '{"a"', '{"a":', '{"a":1', '{"a":1,}', "[1,]", '"abc', '"a\nb"', '"\\x"', '"\\u12"', '"\\u12G4"',
              '"\\', "-", "01", "1.", "1.e5", "1e", "1e+", "-.5", "+1", "nul", "\ufeff1", "1 2", "{a:1}", '["a",', '{"a":1 "b"}', "{,}",
              '"é\\q"', '"\\u', '{"é":\n  [1,\n   é]}', "[1 2]", "{'a': 1}", '{"a" 1}', '{"a":1,\n "b"}', "[[1,2],[3", "True",
              " [1, 2.50, -3e2, true, false, null] ", '{"a": {"b": ["\\n\\t\\"\\\\\\/\\b\\f\\r", "\\u00e9\\ud83d\\ude00", "😀"]}}',
              '{"x":1,"y":2,"x":3}', "1.0", "-0.0", "-0", "1E5", "12345678901234567890", '"\x7f"', '"\\U0041"', "\t\r\n7\n", '"\\u00e9', "\u00a07",
              '"\\u00E9"', '"\\u 123"', "[1]]", "-Inf", "nan"]
for text in JSON_TEXTS:
    case("loads", lambda t: json.dumps(json.loads(t), ensure_ascii=False), text)

LITERALS = ["1", "-1", "+1", "- 1", "--1", "-True", "1.5", ".5", "5.", "1e3", "1E-3", "1_000", "1__0", "1_", "_1", "0x1F", "0o17", "0b101",
            "0x_ff", "0xg", "007", "00", "0_0", "09.5", "0", "-0", "-0.0", "'a'", '"a"', "'it\\'s'", '"""a\nb"""', "'''it's'''",
            "'a' 'b' \"c\"", "r'\\n'", "R'\\''", "u'é'", "'\\x41\\u00e9\\U0001f600\\101\\0'", "'\\q'", "'\\x4'", "'\\U00110000'", "'a\nb'",
            "'a\\\nb'", "'abc", "''", "''''''", "'\\7\\18'", "[1, 2, 3]", "[1, 2,]", "[,]", "[]", "()", "(1)", "(1,)", "(1, 2)", "1, 2", "1,",
            "{}", "{'a': 1}", "{'a': True, 'b': None, 'c': (1, 2)}", "{'a': 1,}", "{'a' 1}", "{'a':}", "{1: 'x', 2.5: 'y', None: 'z', False: 1}",
            "[1\n,\n2]", "[1, # note\n 2]", "1 # note", "[1 2]", "1 2", "True", "true", "None", "null", "Nonex", "foo", "foo()", "1 + 2",
            "[1, [2, {'k': [3]}]]", " 1", "1 ", "1\n", "", "[", "-(1)", "-((2.5))", "-[1]", "+'a'", "[-1, +2, -.5]", "{'k': -1}", "('a' 'b',)",
            "('a'\n 'b')", "9223372036854775808", "18446744073709551615", "'tab\\tx'", "'\\v\\f\\a\\b'", "[True, False]", "{'a': {'b': ()}}",
            "1if", "0x", "1.5.2", "1e", "{**{}}", "[*[]]", "\"\"\"x\"y\"\"\"", "r'a\\\\'", "{'a': 1, 'a': 2}", "'\u2028'", "1_0.2_5e1_0"]
for text in LITERALS:
    def literal(text):
        try:
            return json.dumps(ast.literal_eval(text), ensure_ascii=False)
        except (ValueError, SyntaxError, TypeError):
            return None
    case("literal", literal, text)

WORLD = {"name": "Ann", "n": 3, "neg": -42, "big": 1234567, "f": 3.14159, "half": -0.5, "zero": 0.0, "tiny": 1.5e-7, "huge": 1.5e20, "one": 1.0,
         "yes": True, "nothing": None, "list": [1, "two", [3.5]], "obj": {"k": "v", "d": {"x": 1}, "1": "one"}, "é": "accent", "emoji": "a😀b",
         "w": 8, "spec": ">6", "q": "it's", "negz": -0.0, "max": 2**64 - 1, "a b": "space", "nl": "x\ny"}
TEMPLATES = ["", "plain", "{name}", "Hi {name}, {n} new", "{{literal}} {one}", "}}{{", "{", "}", "a}b", "{name", "{name}}", "{{name}", "{missing}",
             "{it's}", "{}", "{0}", "{1}", "{99999999999999999999}", "{ name}", "{9999999999999999999}", "{9999999999999999999x}", "{a b}", "{é}", "{list}", "{obj}", "{list[0]}", "{list[2][0]}", "{list[9]}",
             "{list[x]}", "{list[-1]}", "{obj[k]}", "{obj[d][x]}", "{obj[nope]}", "{obj[1]}", "{obj[007]}", "{obj.k}", "{name.foo}", "{n.foo}", "{nothing.x}",
             "{name[0]}", "{name[7]}", "{name[x]}", "{n[0]}", "{nothing[0]}", "{yes[0]}", "{name[]}", "{name.}", "{name[0]x}", "{name[0}", "{obj[k}", "{.x}", "{[x]}",
             "{name!r}", "{name!s}", "{name!a}", "{é!a}", "{emoji!a}", "{q!r}", "{n!r:>5}", "{name!x}", "{name!}", "{name!r", "{name!rr}", "{name!", "{name!\x01}", "{name!é}",
             "{name:{w}}", "{name:{spec}}", "{name:{n}{n}}", "{n:{w}{w:{w}}}", "{name:{missing}}", "{name:{{}}}", "{na{me}", "{name:>{w}.{n}}", "{obj[a{b]}", "{name:", "{name:}",
             "{nl:>5}|", "{w:}", "{yes}", "{nothing}", "{max}", "{one!s:>6}", "{list!r:.4}", "{nothing!s:*^8}"]
SPECS = {
    "name": ["5", "<5", ">5", "^6", "*^9", ".2", "5.1", "s", "d", "05", "=5", "+", " ", "#", "z", ",", "_", "é^7", "x", "10s", ".0", "{<6", "0>6", "\x02", "ss"],
    "emoji": ["5", ".2", "^8"],
    "n": ["d", "5", "<5|", "^5", "=+5", "+", " ", "05", "+05", "x", "#x", "#X", "#b", "#o", "08b", "#010x", "c", "n", "e", ".2f", "%", "g", ".2", "s", "z", ",", "04,", "05,",
          "06,", "012_", "?", "abc", ".", "5.", ",,", ",_", "_,", ",x", "_x", ",n", ",c", "+c", "#c", "5c", "05c", "é", ",é", "*=+8", "x<5", "1000001000000000000000000"],
    "neg": ["d", "05", "=6", "x", "#x", "#08b", "c", "+", " ", "(^9", "09,", ".1f", "0>6"],
    "big": [",", "_", "_x", "_b", "015,", "016,", "e", ".3g", "g", ",.2f", "n", "<12,|", "^14,", "X", "c", "_o", "#_x", "020_b"],
    "f": ["", "f", ".2f", "8.3f", "08.3f", "+.1f", " f", "e", ".3e", "E", "g", ".3g", ".10g", "G", "%", ".1%", "n", "#.0f", ".0f", ".0e", "#.0e", ",", "d", "s", "x", ".2", ".1", ".20", ".30f", "<10|", "=+10",
          "_", "*>12.2f", "010", "z", ".60f", "F", "#", "#g", "c"],
    "half": [".0f", "f", "g", "+", "08", "%", "08.1%", "z.0f", ".0%", "e", "^10"],
    "zero": ["", "g", "e", "#g", "%", ".3", "z", "n", "f", "#.0e"],
    "negz": ["", "z", "f", "zf", "+", "z+", "z+.1f", "g"],
    "tiny": ["", "f", "g", "e", ".3", "#", "5", "%", ".1e", "G", ".12f"],
    "huge": ["", "f", "g", ",", ",.1f", "e", ".3", ".30g", "E", "n", "#", "#g", "030,", ".21", ".22"],
    "one": ["", "5", "g", "#g", ".3", ".1", ".0", "n", "d", ",", "%", ".0f"],
    "yes": ["d", "5", "s", "x", "f", "", "c", "z", ".1", "05"],
    "nothing": ["", "s", "5"], "list": ["", "s"], "obj": ["", "5"],
    "max": ["c", ",", "x", "f", "e", "030,", "_b"],
}
for template in TEMPLATES:
    case("format", lambda t: t.format(**WORLD), template)
for key, specs in SPECS.items():
    for spec in specs:
        case("format", lambda t: t.format(**WORLD), "{%s:%s}" % (key, spec))

for text in ["", "a", "abcdef", "añb👍", "e\u0301x"]:
    for start in [None, 0, 1, -1, 3, -3, 9, -9]:
        for end in [None, 0, 2, -1, -9, 9]:
            case("slice", lambda t, s, e: t[s:e], text, start, end)
for text in ["", " a ", "\t\n\x0b\x0c\r a\x1c\x1d\x1e\x1f", "\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000x", "\u200bx\u200b", "\ufeffx", "\u180ex", "\x00 "]:
    case("strip", str.strip, text)
    case("len", len, text)

for value in [0.5, 1.5, 2.5, -0.5, -2.5, 2.675, 1.005, 3.14159, 1234.5678, -1234.5678, 1e20, 1e22 + 0.0, 0.1, 1250.0, 1350.0, 150.0, 50.0, 49.999, 50.000001, 5e-324,
              1e308, 1.7976931348623157e308, 0.0, -0.0, 15.0, 25.0, 9.5, 99.5, 995.0, 9.995, 123456789012345.67, 5.0, -5.0, 4503599627370497.5, 0.125, 0.375]:
    for decimals in [0, 1, 2, 3, 15, 17, 22, 308, 323, 324, -1, -2, -3, -20, -307, -308, -309, 10**6, -(10**6)]:
        case("round", lambda v, d: repr(round(float(v), d)), repr(value), decimals)


def power(a, b):
    result = float(a) ** float(b)
    return json.dumps(result) if isinstance(result, complex) else repr(result)


OPERANDS = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 7.5, 1e308, -1e308, 1e-308, 1025.0, -1074.0, math.inf, -math.inf, math.nan]
for a in OPERANDS:
    for b in OPERANDS:
        case("pow", power, repr(a), repr(b))
        if b != 0.0:
            case("mod", lambda a, b: repr(float(a) % float(b)), repr(a), repr(b))

print(json.dumps({"world": WORLD}, ensure_ascii=True)[:-1] + ', "cases": [')
print(",\n".join(json.dumps(entry) for entry in CASES))
print("]}")
