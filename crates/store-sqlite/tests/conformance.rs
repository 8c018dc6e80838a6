//! The SQLite store keeps the promises of the ports.

use std::sync::Mutex;

use ag_store::conformance;
use ag_store_sqlite::{SqliteOptions, SqliteStore, Synchronous};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let directories = Mutex::new(Vec::new());
    conformance::run_all(|clock| {
        let directory = tempfile::tempdir().expect("directory");
        let mut options = SqliteOptions::new(directory.path());
        options.clock = clock;
        // The cases need no power-loss safety, only the order of things.
        options.synchronous = Synchronous::Normal;
        directories.lock().expect("lock").push(directory);
        async move { SqliteStore::open(options).await.expect("open") }
    })
    .await;
}
