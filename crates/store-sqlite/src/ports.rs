//! The ports of the store, one file each.

mod artifacts;
mod claim;
mod commands;
mod documents;
mod ledger;
mod owners;
mod planes;
mod related;
mod run_list;
mod run_reads;
mod run_store;

pub(crate) use owners::owner_row;

use ag_store::StoreError;

/// The writer answered with the result of another operation; a defect of this crate.
pub(crate) fn mismatch() -> StoreError {
    StoreError::Internal("the writer's answer belongs to another operation".to_owned())
}
