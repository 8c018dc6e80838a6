//! With Postgres: what the server says of itself.

use std::time::Duration;

use anyhow::Result;
use sqlx::PgConnection;

use ag_testkit::StopMode;

use crate::{
    cli::Options,
    client::start_body,
    gateway::Gateway,
    report,
    rounds::{Scenario, Values, repeat},
};

use super::super::closed::{RECORDS_3, closed, one};

/// Log and size of the database.
pub(super) async fn bytes(options: &Options) -> Result<Scenario> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    let mut database = gateway.cluster()?.database().await?;
    for command in ["CREATE EXTENSION pg_walinspect", "SET statement_timeout = 0"] {
        sqlx::raw_sql(command).execute(&mut database).await?;
    }
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat("bytes", options.rounds, &scratch, &mut gateway, async |gateway| {
        let before = size(&mut database).await?;
        let begin = position(&mut database).await?;
        let load = closed(gateway, "answers3", RECORDS_3, 64, seconds).await?;
        let end = position(&mut database).await?;
        let (log, images) = log(&mut database, &begin, &end).await?;
        let after = size(&mut database).await?;
        let each = |bytes: f64| Some(bytes / 1e3 / load.latencies_ms.len() as f64);
        Ok(Values::from([
            ("bytes.wal_kb_per_run".to_owned(), each(log - images)),
            ("bytes.wal_images_kb_per_run".to_owned(), each(images)),
            ("bytes.stored_kb_per_run".to_owned(), each(after - before)),
        ]))
    });
    scenario.await
}

/// Bytes of the tables with their indexes. Space of old versions is given free first, so that rounds use it again as
/// they would in the long run.
async fn size(database: &mut PgConnection) -> Result<f64> {
    for table in ["VACUUM runs", "VACUUM run_heads", "VACUUM ledger", "CHECKPOINT"] {
        sqlx::raw_sql(table).execute(&mut *database).await?;
    }
    let size: i64 = sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest(ARRAY['runs', 'run_heads', 'ledger']) t",
    )
    .fetch_one(database)
    .await?;
    Ok(size as f64)
}

async fn position(database: &mut PgConnection) -> Result<String> {
    let flushed = sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text");
    Ok(flushed.fetch_one(database).await?)
}

/// Bytes between two positions, and those of them that are images of whole pages.
async fn log(database: &mut PgConnection, begin: &str, end: &str) -> Result<(f64, f64)> {
    let row: (f64, f64) = sqlx::query_as(
        "SELECT pg_wal_lsn_diff($2::text::pg_lsn, $1::text::pg_lsn)::float8,
           (SELECT sum(fpi_size) FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn))::float8",
    )
    .bind(begin)
    .bind(end)
    .fetch_one(database)
    .await?;
    Ok(row)
}

/// Runs after a pause, which make each session report its counters: it does so with its next commit after a second.
const NUDGES: usize = 8;
const REPORT_EVERY: Duration = Duration::from_millis(1_100);

/// Syncs of the log. Those of the tables belong to checkpoints and are shared by minutes of runs.
pub(super) async fn fsyncs(options: &Options) -> Result<Scenario> {
    let mut gateway = Gateway::running(options).await?;
    closed(&gateway, "answers3", RECORDS_3, 16, 0.5).await?;
    let mut database = gateway.cluster()?.database().await?;
    let scratch = gateway.home().to_owned();
    let seconds = options.seconds;
    let scenario = repeat(
        "fsyncs",
        options.rounds,
        &scratch,
        &mut gateway,
        async |gateway| {
            let mut values = Values::new();
            for clients in [1, 64] {
                let before = syncs(gateway, &mut database).await?;
                let load = closed(gateway, "answers3", RECORDS_3, clients, seconds).await?;
                let after = syncs(gateway, &mut database).await?;
                let runs = load.latencies_ms.len() + NUDGES;
                values.insert(
                    format!("fsyncs.c{clients}.per_run"),
                    Some((after - before) as f64 / runs as f64),
                );
            }
            Ok(values)
        },
    );
    scenario.await
}

async fn syncs(gateway: &Gateway, database: &mut PgConnection) -> Result<i64> {
    tokio::time::sleep(REPORT_EVERY).await;
    let (mut conn, body) = (gateway.conn(), start_body("answers3", &serde_json::json!({})));
    for _ in 0..NUDGES {
        one(&mut conn, &body, RECORDS_3).await?;
    }
    let syncs = sqlx::query_scalar("SELECT wal_sync FROM pg_stat_wal");
    Ok(syncs.fetch_one(database).await?)
}

const IDLE: Duration = Duration::from_secs(5);

/// Statements of a cluster that has nothing to do, counted by `pg_stat_statements`.
pub(crate) async fn idle(options: &Options) -> Result<Option<Scenario>> {
    let (mut gateway, mut database) = counted(options).await?;
    tokio::time::sleep(IDLE).await;
    let scratch = gateway.home().to_owned();
    let processes = gateway.memory()?.len() as f64;
    let scenario = repeat("idle", options.rounds, &scratch, &mut gateway, async |gateway| {
        sqlx::raw_sql("SELECT pg_stat_statements_reset()")
            .execute(&mut database)
            .await?;
        let cpu = gateway.cpu()?;
        tokio::time::sleep(IDLE).await;
        let cpu = gateway.cpu()?.since(&cpu).own();
        let calls: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
             WHERE toplevel AND query NOT LIKE '%pg_stat_statements%'",
        )
        .fetch_one(&mut database)
        .await?;
        let each = |value: f64| Some(value / IDLE.as_secs_f64() / processes);
        Ok(Values::from([
            ("idle.statements_per_s".to_owned(), each(calls as f64)),
            ("idle.cpu_percent".to_owned(), each(cpu.as_secs_f64() * 100.0)),
        ]))
    });
    scenario.await.map(Some)
}

/// A cluster whose statements are counted.
async fn counted(options: &Options) -> Result<(Gateway, PgConnection)> {
    let mut gateway = Gateway::running(options).await?;
    let cluster = gateway.cluster()?;
    let mut database = cluster.database().await?;
    sqlx::raw_sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        .execute(&mut database)
        .await?;
    cluster.processes.postgres.restart(StopMode::Fast).await;
    let mut database = cluster.database().await?;
    sqlx::raw_sql("CREATE EXTENSION pg_stat_statements")
        .execute(&mut database)
        .await?;
    // Connections are made again, and what was missed is looked for once.
    closed(&gateway, "answers3", RECORDS_3, 16, 1.0).await?;
    Ok((gateway, database))
}

/// Which statements a run costs, for whoever looks for the reason of a figure: nothing is stored.
pub(crate) async fn statements(options: &Options) -> Result<Option<Scenario>> {
    let (gateway, mut database) = counted(options).await?;
    sqlx::raw_sql("SET enable_seqscan = on")
        .execute(&mut database)
        .await?;
    for clients in [1, 64] {
        sqlx::raw_sql("SELECT pg_stat_statements_reset()")
            .execute(&mut database)
            .await?;
        let load = closed(&gateway, "answers3", RECORDS_3, clients, options.seconds).await?;
        let runs = load.latencies_ms.len() as f64;
        report::progress(&format!(
            "W1 c={clients}, {runs} runs; calls, rows and ms per run:"
        ));
        let rows: Vec<(i64, i64, f64, String)> = sqlx::query_as(
            "SELECT calls, rows, total_exec_time, left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
             FROM pg_stat_statements WHERE toplevel AND query NOT LIKE '%pg_stat_statements%'
             ORDER BY total_exec_time DESC LIMIT 15",
        )
        .fetch_all(&mut database)
        .await?;
        for (calls, rows, time, query) in rows {
            let (calls, rows, time) = (calls as f64 / runs, rows as f64 / runs, time / runs);
            report::progress(&format!("{calls:8.3} {rows:8.3} {time:8.4}  {query}"));
        }
    }
    Ok(None)
}
