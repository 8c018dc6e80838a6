//! The Postgres store keeps the promises of the ports.

use ag_store::conformance;
use ag_store_postgres::{PostgresOptions, PostgresStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let Some((server, template)) = crate::migrated().await else {
        return;
    };
    conformance::run_all(|clock| {
        let template = template.clone();
        async move {
            let database = server.copy_of(&template).await;
            let mut options = PostgresOptions::new(server.url(&database).into());
            // Leases take the time of the case instead of the time of the database.
            options.clock = Some(clock);
            PostgresStore::connect(options).await.expect("store")
        }
    })
    .await;
}
