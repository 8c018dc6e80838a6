//! Named places where a test lets the process die, stop or panic: the crash points of the fault matrix.
//!
//! They exist in builds with debug assertions only, the builds that tests drive. In a release build every function here
//! is empty and inlined, and no name is left in the binary; `docs/adr/0019` says why that is no cargo feature.
//!
//! A process is armed once, at its start, by a specification: rules separated by `;`, each
//!
//! ```text
//! point[filter]=action@hit
//! ```
//!
//! - `point`: the name at the place; unknown names never fire;
//! - `[filter]`, optional: one of the place's details (an effect's kind, a workflow's id) contains this text;
//! - `action`: `abort` ends the process at once; `panic`; `sleep(ms)` waits, without its thread where the place is
//!   asynchronous; `block(ms)` always with its thread, so that nothing can take the task away meanwhile;
//! - `@hit`, optional: at the n-th time that the rule matches, and never again. Without it: each time.
//!
//! `clock=skew(ms)` is no place: it says how far the process is to believe that its machine's clock is off.
//!
//! What fires says so in a line on standard error, which tests read: `failpoint step.before_commit: abort at hit 2`.

#[cfg(debug_assertions)]
mod rules;

use std::fmt;

/// Variable that holds the specification.
pub const VARIABLE: &str = "AG_FAILPOINTS";

/// A specification that cannot be read: the rule in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule(pub String);

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a failpoint: '{}'", self.0)
    }
}

impl std::error::Error for BadRule {}

#[cfg(not(debug_assertions))]
pub use absent::{arm, hit, hit_of, pass, skew_micros};
#[cfg(debug_assertions)]
pub use armed::{arm, hit, hit_of, pass, skew_micros};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;

    use crate::{BadRule, rules::Rules};

    static RULES: OnceLock<Rules> = OnceLock::new();

    /// Arms this process. The first call counts.
    ///
    /// # Errors
    /// [`BadRule`]; then nothing is armed.
    pub fn arm(specification: &str) -> Result<(), BadRule> {
        let rules = Rules::parse(specification)?;
        crate::rules::say(&format!("failpoints armed: {specification}"));
        // A second specification would make the first one's counts meaningless.
        let _ = RULES.set(rules);
        Ok(())
    }

    /// The place of this name was reached.
    pub fn hit(point: &str) {
        hit_of(point, &[]);
    }

    /// The same with details that a filter may ask for.
    pub fn hit_of(point: &str, details: &[&str]) {
        if let Some(rules) = RULES.get()
            && let Some(action) = rules.fires(point, details)
        {
            action.carry_out();
        }
    }

    /// How far this process believes its machine's clock to be off.
    pub fn skew_micros() -> i64 {
        RULES.get().map_or(0, Rules::skew_micros)
    }

    /// The same in asynchronous code, where a sleep leaves the thread to others.
    pub async fn pass(point: &str, details: &[&str]) {
        if let Some(rules) = RULES.get()
            && let Some(action) = rules.fires(point, details)
        {
            match action.pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => action.carry_out(),
            }
        }
    }
}

#[cfg(not(debug_assertions))]
mod absent {
    use crate::BadRule;

    /// Arms nothing: this build has no failpoints.
    ///
    /// # Errors
    /// Never.
    #[inline(always)]
    pub fn arm(_: &str) -> Result<(), BadRule> {
        Ok(())
    }

    /// Nothing.
    #[inline(always)]
    pub fn hit(_: &str) {}

    /// Nothing.
    #[inline(always)]
    pub fn hit_of(_: &str, _: &[&str]) {}

    /// Not at all.
    #[inline(always)]
    pub fn skew_micros() -> i64 {
        0
    }

    /// Nothing.
    #[inline(always)]
    pub async fn pass(_: &str, _: &[&str]) {}
}
