//! Schema-bound answers: normalising what callers give as a schema, asking for it, reading and checking the answer.

mod generate;
mod inline;
mod normalise;
mod parse;
mod validate;

pub use generate::{StructuredError, StructuredReply, generate, prompted_instruction};
pub use normalise::{SchemaError, normalise};
pub use parse::{extract_json, parse_reply};
pub use validate::{Violation, validate};
