//! The ports of the store, one file each.

mod artifacts;
mod claim;
mod commands;
mod documents;
mod imports;
mod ledger;
mod memory;
mod owners;
mod planes;
mod related;
mod run_list;
mod run_reads;
mod run_store;

pub(crate) use owners::owner_row;

use ag_store::StoreError;

/// Statements with one text, for the test of their plans.
#[cfg(test)]
pub(crate) fn statements_for_test() -> Vec<&'static str> {
    vec![
        ledger::PAGE,
        related::CHILDREN,
        related::DESCENDANTS,
        related::LIVE_BELOW,
        run_reads::LISTENER,
        run_reads::SESSION_LISTENER,
        &claim::CLAIMED,
        ledger::TAIL,
        artifacts::NAMED_BY_ARTIFACT,
        artifacts::NAMED_BY_RUN,
    ]
}

/// The writer answered with the result of another operation; a defect of this crate.
pub(crate) fn mismatch() -> StoreError {
    StoreError::Internal("the writer's answer belongs to another operation".to_owned())
}

/// A limit as a parameter.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
