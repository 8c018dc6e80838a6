//! The fake keeps the promises of the ports.

use std::sync::Arc;

use ag_store::{conformance, fake::FakeStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fake_conforms() {
    conformance::run_all(|clock| async move { Arc::new(FakeStore::new(clock)) }).await;
}
