//! Bulk writes; see `ag_store::imports` for the order of the steps.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ag_store::{
    ImportBatch, ImportCounts, ImportStore, ImportWake, MemoryRow, NewRun, Result, Segment, StoreError,
};
use ag_types::{PlaneId, RunId, SystemScope, TenantScope};
use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    arrays::{Segments, States, arrays},
    rows::Cursor,
    stamp::Stamp,
    store::PostgresStore,
};

arrays! {
    Runs {
        run: Uuid, parent: Option<Uuid>, workflow: &'a str, actor: Option<&'a str>, session: Option<&'a str>,
        bundle: Option<&'a str>, created: Stamp, last_seq: i64,
    }
}
arrays! {
    Commands {
        id: &'a str, seq: i64, run: &'a str, kind: &'a str, payload: &'a str, client: Option<&'a str>, ts: &'a str,
        created: Stamp, outcome: Option<&'a str>,
    }
}
arrays! {
    Artifacts {
        id: &'a str, run: Option<&'a str>, blob: &'a str, content_type: &'a str, size: i64, created: Stamp,
        semantic: &'a str, render: &'a str, modality: &'a str, session: Option<&'a str>, meta: &'a str,
    }
}
arrays! {
    Owners { id: &'a str, session: Option<&'a str>, created: Stamp, updated: Stamp }
}
arrays! {
    Spans { owner: &'a str, span: &'a str, change: &'a str, created: Stamp, body: &'a str }
}
arrays! {
    Documents { kind: &'a str, id: &'a str, body: &'a str, updated: Stamp }
}

const RUNS: &str = "INSERT INTO runs (run_id, plane_id, parent_run_id, workflow_id, actor_id, session_id, \
     bundle_sha256, created_at, last_seq, status, current_node, wait_reason, wait_key, wait_until, paused, error, \
     lifecycle, steps, llm_calls, tool_calls, tokens_total, updated_at, wait, vars, meta, output, rev, epoch) \
     SELECT a, $1, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, 0, 0 \
     FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], \
     $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::bool[], \
     $16::text[], $17::text[], $18::int[], $19::int[], $20::int[], $21::bigint[], $22::timestamptz[], $23::text[], \
     $24::text[], $25::text[], $26::text[]) z(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y)";
const LEDGER: &str = "INSERT INTO ledger (run_id, plane_id, first_seq, last_seq, records) SELECT b, $1, c, d, e \
     FROM unnest($2::int[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[]) z(a, b, c, d, e)";
const COMMANDS: &str = "INSERT INTO commands (plane_id, command_id, seq, run_id, type, payload, client_id, ts, \
     created_at, outcome) SELECT $1, a, b, c, d, e, f, g, h, i FROM unnest($2::text[], $3::bigint[], $4::text[], \
     $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::text[]) z(a, b, c, d, e, f, g, h, i) \
     ON CONFLICT DO NOTHING";
const ARTIFACTS: &str = "INSERT INTO artifacts (plane_id, artifact_id, run_id, blob_id, content_type, size_bytes, \
     created_at, semantic_kind, render_kind, modality, session_id, meta) SELECT $1, a, b, c, d, e, f, g, h, i, j, k \
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::text[], \
     $9::text[], $10::text[], $11::text[], $12::text[]) z(a, b, c, d, e, f, g, h, i, j, k) ON CONFLICT DO NOTHING";
const OWNERS: &str = "INSERT INTO memory_owners (plane_id, owner_id, session_id, created_at, updated_at) \
     SELECT $1, a, b, c, d FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) z(a, b, c, d) \
     ON CONFLICT DO NOTHING RETURNING owner_id";
const SPANS: &str = "INSERT INTO memory_spans (plane_id, owner_id, span_id, change, created_at, body) \
     SELECT $1, a, b, c, d, e FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[]) \
     WITH ORDINALITY z(a, b, c, d, e, o) ORDER BY o";
const DOCUMENTS: &str = "INSERT INTO documents (plane_id, kind, id, body, updated_at) SELECT $1, a, b, c, d \
     FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) z(a, b, c, d) ON CONFLICT DO NOTHING";
const GENERATION: &str = "UPDATE planes SET generation = generation + 1 WHERE plane_id = $1";
const STORED: &str = "SELECT r.run_id FROM unnest($2::uuid[]) k(id) CROSS JOIN LATERAL \
     (SELECT run_id FROM runs WHERE run_id = k.id AND plane_id + 0 = $1) r";
const CLEAR: &str = "DELETE FROM ledger WHERE run_id = ANY ($2) AND plane_id + 0 = $1";
// Only a run that nobody has committed can lack a head while it lives.
const HEADS: &str = "INSERT INTO run_heads (run_id, plane_id, pool) SELECT r.run_id, $1, k.pool \
     FROM unnest($2::uuid[], $3::text[]) k(id, pool) CROSS JOIN LATERAL (SELECT run_id FROM runs \
     WHERE run_id = k.id AND plane_id + 0 = $1 AND status IN ('running', 'waiting')) r ON CONFLICT DO NOTHING";
const HEAD: &str = "SELECT h.mail_in FROM run_heads h CROSS JOIN LATERAL (SELECT rev FROM runs \
     WHERE run_id = h.run_id AND plane_id + 0 = h.plane_id) r \
     WHERE h.run_id = $2 AND h.plane_id + 0 = $1 AND h.owner IS NULL AND r.rev = 0 FOR UPDATE OF h";
const MAIL: &str = "INSERT INTO mail (run_id, plane_id, n, kind, body) SELECT $2, $1, $3, $4, $5 WHERE NOT EXISTS \
     (SELECT FROM mail WHERE run_id = $2 AND plane_id + 0 = $1 AND kind = $4)";
const WAKE: &str = "UPDATE run_heads SET mail_in = $3, \
     ready_at = CASE WHEN $4 THEN coalesce(ready_at, clock_timestamp()) ELSE ready_at END, \
     wake_at = coalesce(wake_at, $5) WHERE run_id = $2 AND plane_id + 0 = $1 \
     AND (mail_in <> $3 OR ($4 AND ready_at IS NULL) OR (wake_at IS NULL AND $5::timestamptz IS NOT NULL))";

#[async_trait]
impl ImportStore for PostgresStore {
    async fn in_use(&self, _: &SystemScope) -> Result<Option<String>> {
        let mut conn = self.database.conn().await?;
        let node: Option<String> = sqlx::query_scalar(
            "SELECT node FROM runner_sessions WHERE NOT dead AND expires_at > clock_timestamp() LIMIT 1",
        )
        .fetch_optional(&mut *conn)
        .await
        .map_err(|error| self.database.read_failed(error))?;
        Ok(node.map(|node| format!("the runner '{node}' works on this database")))
    }

    #[tracing::instrument(level = "debug", name = "store.import.stored_runs", skip_all)]
    async fn stored_runs(&self, scope: &TenantScope, runs: &[RunId]) -> Result<HashSet<RunId>> {
        let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let mut conn = self.database.conn().await?;
        stored(&mut conn, scope.plane, &ids)
            .await
            .map_err(|error| self.database.read_failed(error))
    }

    #[tracing::instrument(level = "debug", name = "store.import.rows", skip_all)]
    async fn import(&self, scope: &TenantScope, batch: ImportBatch) -> Result<ImportCounts> {
        let mut conn = self.database.conn().await?;
        let failed = |error| self.database.write_failed(error);
        let mut tx = conn.begin().await.map_err(failed)?;
        let counts = rows(&mut tx, scope.plane, &batch).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(counts)
    }

    #[tracing::instrument(level = "debug", name = "store.import.heads", skip_all)]
    async fn import_heads(&self, scope: &TenantScope, heads: &[(RunId, Arc<str>)]) -> Result<u64> {
        let ids: Vec<Uuid> = heads.iter().map(|(run, _)| run.0).collect();
        let pools: Vec<&str> = heads.iter().map(|(_, pool)| &**pool).collect();
        let mut conn = self.database.conn().await?;
        let done = sqlx::query(HEADS)
            .bind(scope.plane.0)
            .bind(&ids)
            .bind(&pools)
            .execute(&mut *conn)
            .await
            .map_err(|error| self.database.write_failed(error))?;
        Ok(done.rows_affected())
    }

    #[tracing::instrument(level = "debug", name = "store.import.wakes", skip_all)]
    async fn import_wakes(&self, scope: &TenantScope, wakes: &[ImportWake]) -> Result<u64> {
        let mut conn = self.database.conn().await?;
        let failed = |error| self.database.write_failed(error);
        let mut tx = conn.begin().await.map_err(failed)?;
        let mut changed = 0;
        for wake in wakes {
            changed += set_off(&mut tx, scope.plane, wake).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(changed)
    }

    async fn raise_command_seq(&self, scope: &TenantScope, seq: i64) -> Result<()> {
        let mut conn = self.database.conn().await?;
        sqlx::query("UPDATE planes SET command_seq = greatest(command_seq, $2) WHERE plane_id = $1")
            .bind(scope.plane.0)
            .bind(seq)
            .execute(&mut *conn)
            .await
            .map_err(|error| self.database.write_failed(error))?;
        Ok(())
    }
}

async fn stored(conn: &mut PgConnection, plane: PlaneId, ids: &[Uuid]) -> sqlx::Result<HashSet<RunId>> {
    let rows = sqlx::query(STORED)
        .bind(plane.0)
        .bind(ids)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
}

async fn rows(conn: &mut PgConnection, plane: PlaneId, batch: &ImportBatch) -> sqlx::Result<ImportCounts> {
    let mut counts = ImportCounts::default();
    let mut fresh = runs(conn, plane, batch).await?;
    counts.runs = fresh.len() as u64;
    let mut commands = Commands::default();
    for (command, created) in &batch.commands {
        commands.id.push(&command.command_id);
        commands.seq.push(command.seq);
        commands.run.push(&command.run_id);
        commands.kind.push(&command.kind);
        commands.payload.push(&command.payload);
        commands.client.push(command.client_id.as_deref());
        commands.ts.push(&command.ts);
        commands.created.push(Stamp(*created));
        commands.outcome.push(command.outcome.as_deref());
    }
    let mut artifacts = Artifacts::default();
    for row in &batch.artifacts {
        artifacts.id.push(&row.artifact_id);
        artifacts.run.push(row.run_id.as_deref());
        artifacts.blob.push(&row.blob_id);
        artifacts.content_type.push(&row.content_type);
        artifacts.size.push(row.size_bytes);
        artifacts.created.push(Stamp(row.created_at));
        artifacts.semantic.push(&row.semantic_kind);
        artifacts.render.push(&row.render_kind);
        artifacts.modality.push(&row.modality);
        artifacts.session.push(row.session_id.as_deref());
        artifacts.meta.push(&row.meta);
    }
    let mut owners = Owners::default();
    for owner in &batch.owners {
        owners.id.push(&owner.owner_id);
        owners.session.push(owner.session_id.as_deref());
        owners.created.push(Stamp(owner.created_at));
        owners.updated.push(Stamp(owner.updated_at));
    }
    let mut documents = Documents::default();
    for (kind, document) in &batch.documents {
        documents.kind.push(kind.as_str());
        documents.id.push(&document.id);
        documents.body.push(&document.body);
        documents.updated.push(Stamp(document.updated_at));
    }
    let start = |sql: &'static str| sqlx::query(sql).bind(plane.0);
    if !commands.id.is_empty() {
        counts.commands = commands
            .bind(start(COMMANDS))
            .execute(&mut *conn)
            .await?
            .rows_affected();
    }
    if !artifacts.id.is_empty() {
        counts.artifacts = artifacts
            .bind(start(ARTIFACTS))
            .execute(&mut *conn)
            .await?
            .rows_affected();
    }
    if !owners.id.is_empty() {
        let new = owners.bind(start(OWNERS)).fetch_all(&mut *conn).await?;
        counts.owners = new.len() as u64;
        for row in new {
            fresh.insert(row.try_get(0)?);
        }
    }
    let mut spans = Spans::default();
    for row in batch.memory.iter().filter(|row| fresh.contains(row.owner_id())) {
        // Statements are no part of a run; an import of them has a port of its own.
        let MemoryRow::Span(entry) = row else { continue };
        spans.owner.push(&entry.owner_id);
        spans.span.push(&entry.span_id);
        spans.change.push(entry.change.as_str());
        spans.created.push(Stamp(entry.created_at));
        spans.body.push(&entry.body);
    }
    if !spans.owner.is_empty() {
        spans.bind(start(SPANS)).execute(&mut *conn).await?;
    }
    if !documents.id.is_empty() {
        counts.documents = documents
            .bind(start(DOCUMENTS))
            .execute(&mut *conn)
            .await?
            .rows_affected();
        if counts.documents > 0 {
            start(GENERATION).execute(&mut *conn).await?;
        }
    }
    Ok(counts)
}

/// Stores the runs that are not stored yet; their ids.
async fn runs(conn: &mut PgConnection, plane: PlaneId, batch: &ImportBatch) -> sqlx::Result<HashSet<String>> {
    let heads = batch.ledgers.iter().map(|(run, _)| run.0);
    let ids: Vec<Uuid> = heads
        .chain(batch.runs.iter().map(|run| run.head.run_id.0))
        .collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let known = stored(conn, plane, &ids).await?;
    let fresh: HashMap<RunId, &NewRun> = batch
        .runs
        .iter()
        .filter(|run| !known.contains(&run.head.run_id))
        .map(|run| (run.head.run_id, run))
        .collect();
    let ledgers = batch.ledgers.iter().filter(|(run, _)| !known.contains(run));
    let ledgers: Vec<(RunId, &[Segment])> = ledgers
        .map(|(run, segments)| (*run, segments.as_slice()))
        .chain(fresh.iter().map(|(id, run)| (*id, run.segments.as_slice())))
        .collect();
    // A ledger that begins again belongs to a run that an interrupted import did not finish.
    let begun: Vec<Uuid> = ledgers
        .iter()
        .filter(|(_, segments)| segments.first().is_some_and(|segment| segment.first_seq == 1))
        .map(|(run, _)| run.0)
        .collect();
    sqlx::query(CLEAR)
        .bind(plane.0)
        .bind(&begun)
        .execute(&mut *conn)
        .await?;
    let mut segments = Segments::default();
    for (run, list) in &ledgers {
        segments.push(0, run.0, list);
    }
    segments
        .bind(sqlx::query(LEDGER).bind(plane.0))
        .execute(&mut *conn)
        .await?;
    let (mut columns, mut states) = (Runs::default(), States::default());
    for run in fresh.values() {
        columns.run.push(run.head.run_id.0);
        columns.parent.push(run.head.parent_run_id.map(|parent| parent.0));
        columns.workflow.push(&run.head.workflow_id);
        columns.actor.push(run.head.actor_id.as_deref());
        columns.session.push(run.head.session_id.as_deref());
        columns.bundle.push(run.bundle_sha256.as_deref());
        columns.created.push(run.head.created_at.into());
        columns.last_seq.push(run.last_seq);
        states.push(&run.columns);
    }
    let statement = states.bind(columns.bind(sqlx::query(RUNS).bind(plane.0)));
    statement.execute(conn).await?;
    Ok(fresh.keys().map(ToString::to_string).collect())
}

async fn set_off(conn: &mut PgConnection, plane: PlaneId, wake: &ImportWake) -> sqlx::Result<u64> {
    let run = wake.run.0;
    let row = sqlx::query(HEAD)
        .bind(plane.0)
        .bind(run)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(0) };
    let stored = Cursor::new(&row).long().map_err(damaged)?;
    let mut mail_in = stored;
    for (kind, body) in &wake.mail {
        let sent = sqlx::query(MAIL)
            .bind(plane.0)
            .bind(run)
            .bind(mail_in + 1)
            .bind(kind.as_str())
            .bind(&**body)
            .execute(&mut *conn)
            .await?;
        mail_in += i64::try_from(sent.rows_affected()).unwrap_or(0);
    }
    let done = sqlx::query(WAKE)
        .bind(plane.0)
        .bind(run)
        .bind(mail_in)
        .bind(wake.ready || mail_in > stored)
        .bind(wake.wake_at.map(Stamp))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

fn damaged(error: StoreError) -> sqlx::Error {
    sqlx::Error::Decode(error.to_string().into())
}
