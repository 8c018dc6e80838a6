//! The in-process adapters keep the promises of the ports.

use ag_messaging::{
    LocalCounters, conformance,
    local::{LocalBell, LocalFeed},
};

#[tokio::test]
async fn the_bell_conforms() {
    let bell = LocalBell::default();
    conformance::bell::all(&bell, &bell).await;
}

#[tokio::test]
async fn the_feed_conforms() {
    let feed = LocalFeed::default();
    conformance::feed::all(&feed, &feed).await;
}

#[tokio::test]
async fn the_counters_conform() {
    let counters = LocalCounters::default();
    conformance::counters::all(&counters, &counters).await;
}
