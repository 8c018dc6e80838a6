//! A scratch Postgres goes down in both ways and comes back with what was committed.
#![cfg(feature = "postgres")]

use ag_testkit::{Durability, ScratchPostgres, StopMode};

async fn rows(server: &ScratchPostgres) -> i64 {
    let mut conn = server.connect("postgres").await;
    let count = sqlx::query_scalar("SELECT count(*) FROM t");
    count.fetch_one(&mut conn).await.expect("a count")
}

async fn execute(server: &ScratchPostgres, statement: &'static str) {
    let mut conn = server.connect("postgres").await;
    sqlx::raw_sql(statement)
        .execute(&mut conn)
        .await
        .expect("a statement");
}

#[tokio::test]
async fn a_restarted_server_has_what_was_committed() {
    let Some(mut server) = ScratchPostgres::start_tcp(Durability::PowerLoss) else {
        return;
    };
    let (url, first) = (server.url("postgres"), server.pid());
    assert!(first.is_some());
    execute(&server, "CREATE TABLE t (n int)").await;
    for (count, mode) in [(1, StopMode::Fast), (2, StopMode::Immediate)] {
        execute(&server, "INSERT INTO t VALUES (1)").await;
        server.restart(mode).await;
        assert_eq!(rows(&server).await, count, "{mode:?}");
    }
    assert_eq!(server.url("postgres"), url);
    assert_ne!(server.pid(), first);
    server.stop(StopMode::Fast).await;
    assert_eq!(server.pid(), None);
    server.restart(StopMode::Fast).await;
    assert_eq!(rows(&server).await, 2);
}
