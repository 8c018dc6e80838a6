//! What a W1 run leaves on the disk and asks of it.

mod cluster;
mod embedded;

use anyhow::Result;

use crate::{cli::Options, rounds::Scenario};

pub(crate) use cluster::{idle, statements};

/// Growth of the database, and in a cluster what goes through the write-ahead log.
pub(crate) async fn bytes(options: &Options) -> Result<Option<Scenario>> {
    match options.cluster {
        true => cluster::bytes(options).await.map(Some),
        false => embedded::bytes(options).await.map(Some),
    }
}

/// `fsync` and `fdatasync` calls per run.
pub(crate) async fn fsyncs(options: &Options) -> Result<Option<Scenario>> {
    match options.cluster {
        true => cluster::fsyncs(options).await.map(Some),
        false => embedded::fsyncs(options).await.map(Some),
    }
}
