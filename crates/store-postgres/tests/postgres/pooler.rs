//! The store behind a pooler in transaction mode, where each transaction may get another connection of the server.

use ag_store::conformance;
use ag_store_postgres::{PostgresOptions, PostgresStore, migrate};
use ag_testkit::{ScratchPgBouncer, ScratchPostgres};

/// Fewer than the store's own connections, so that they are passed around.
const CONNECTIONS: u32 = 3;

async fn conforms(
    pooler: &ScratchPgBouncer,
    server: &'static ScratchPostgres,
    template: &str,
    query: &'static str,
) {
    conformance::run_all(|clock| {
        let (template, pooler) = (template.to_owned(), pooler.url(""));
        async move {
            let database = server.copy_of(&template).await;
            let url = pooler.replacen("/?", &format!("/{database}?"), 1) + query;
            let mut options = PostgresOptions::new(url.into());
            options.clock = Some(clock);
            PostgresStore::connect(options).await.expect("store")
        }
    })
    .await;
}

/// No statement is prepared under a name, so that any pooler will do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_behind_a_pooler() {
    let Some((server, template)) = crate::migrated().await else {
        return;
    };
    let pooler = ScratchPgBouncer::start(server, CONNECTIONS).await;
    conforms(&pooler, server, &template, "&statement-cache-capacity=0").await;
    if ScratchPgBouncer::tracks_statements() {
        conforms(&pooler, server, &template, "").await;
    }
}

/// The schema is made through the pooler as well: the lease of a migration is a row, not a lock of a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_pass_a_pooler() {
    let Some(server) = ScratchPostgres::shared() else {
        return;
    };
    let database = server.database().await;
    let pooler = ScratchPgBouncer::start(server, CONNECTIONS).await;
    let url = pooler.url(&database);
    for round in 0..2 {
        let done = migrate(&url.clone().into()).await.expect("migration");
        assert_eq!(done.applied.is_empty(), round == 1);
    }
}
