//! Code nodes: small Python functions run in an interpreter with limits.
//!
//! The port is [`CodeSandbox`]; [`MontySandbox`] is its adapter on the `monty` interpreter. Code is
//! pure by construction: it sees one JSON value, returns one, and reaches neither files nor network.
//!
//! A source passes these stages, each of which can refuse it:
//!
//! 1. size and nesting caps, before any recursive code looks at the text (`depth`);
//! 2. parsing, with errors worded as clients know them (`syntax`);
//! 3. a pass over the syntax tree that refuses imports, `eval` and friends and dunder attributes,
//!    and hides every builtin outside the short allowed list (`screen`);
//! 4. compilation to bytecode, kept in a small cache by the hash of the source (`program`);
//! 5. execution on a dedicated thread with a large stack, watched from outside (`pool`).
//!
//! The memory limit works only in executables that install [`monty_alloc`'s] allocator; see
//! [`MontySandbox::memory_limit_is_enforced`].
//!
//! [`monty_alloc`'s]: https://docs.rs/monty-alloc

mod convert;
mod depth;
mod meter;
mod monty_sandbox;
mod permissions;
mod pool;
mod port;
mod program;
mod screen;
mod syntax;
mod wrap;

pub use monty_sandbox::{MontySandbox, SandboxOptions};
pub use permissions::{FULL_ACCESS_DISABLED, Permissions};
pub use port::{CodeOutcome, CodeRequest, CodeSandbox, ExecutionStats, ExpressionRequest, Limits, Phase};
pub use wrap::{DEFAULT_FUNCTION_NAME, effective_function_name, wrap_body};
