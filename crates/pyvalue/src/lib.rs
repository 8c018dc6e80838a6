//! Python value rules on JSON values.
//!
//! Flows were written against a Python engine, so what an author sees (texts of numbers, truth of
//! values, error messages, slices by code point) and what the kernel hashes (canonical JSON) must
//! follow CPython 3.11. Everything here is pure: no clock, no I/O, no global state.
//!
//! Two limits of JSON are accepted: there is no NaN or infinity inside a [`serde_json::Value`]
//! (text that denotes one becomes `null`), and integers outside `i64`/`u64` are doubles.
//!
//! Writers, comparisons and hashes keep their own stack, so the depth of a value cannot exhaust the
//! thread's stack; parsers refuse text nested deeper than [`MAX_DEPTH`].

mod compare;
mod convert;
mod dumps;
mod error;
mod format;
mod literal;
mod loads;
mod math;
mod number;
mod repr;
mod text;
mod walk;

pub use compare::{CmpOp, py_cmp, py_compare, py_eq};
pub use convert::{coerce_bool, opt_float, opt_int, opt_str, to_float, to_int, truthy, type_name};
pub use dumps::{
    DumpOptions, canonical_sha256_hex, dumps, dumps_compact_sorted_ascii, dumps_default, dumps_pretty,
    dumps_unicode, write_canonical_text, write_dumps,
};
pub use error::{PyError, PyErrorKind};
pub use format::{MAX_FORMAT_OUTPUT_BYTES, MAX_FORMAT_WIDTH, str_format};
pub use literal::literal_eval;
pub use loads::{MAX_DEPTH, json_loads_lenient};
pub use math::{floor_mod, py_pow, py_round, round_half_even};
pub use number::float_repr;
pub use repr::{pyrepr, pyrepr_str, pystr, write_repr};
pub use text::{is_py_space, len_chars, slice_str, strip_py};

/// A JSON object with its keys in insertion order.
pub type Object = serde_json::Map<String, serde_json::Value>;
