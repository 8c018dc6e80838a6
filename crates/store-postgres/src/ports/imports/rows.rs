//! Bulk rows, in one transaction.

use std::collections::{HashMap, HashSet};

use ag_store::{
    Assertion, ImportBatch, ImportCounts, NewRun, Segment, SpanEntry,
    memory::{column_text, vector_bytes},
};
use ag_types::{PlaneId, RunId};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    arrays::{Segments, Statement, States, arrays},
    stamp::Stamp,
    store::{Database, Done},
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
    Statements {
        id: &'a str, owner: &'a str, scope: &'a str, subject: String, predicate: String, object: String,
        observed: String, from: Option<String>, until: Option<String>, body: &'a str, model: Option<&'a str>,
        vector: Option<Vec<u8>>,
    }
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
const HELD_SPANS: &str = "SELECT DISTINCT owner_id, span_id FROM memory_spans \
     WHERE plane_id = $1 AND span_id = ANY ($2::text[])";
const SPANS: &str = "INSERT INTO memory_spans (plane_id, owner_id, span_id, change, created_at, body) \
     SELECT $1, a, b, c, d, e FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[]) \
     WITH ORDINALITY z(a, b, c, d, e, o) ORDER BY o";
// The subject leads an index, ids have none.
const STATEMENTS: &str = "INSERT INTO kg_assertions (plane_id, assertion_id, owner_id, scope, subject, predicate, \
     object, observed_at, valid_from, valid_until, body, model, vector) \
     SELECT $1, a, b, c, d, e, f, g, h, i, j, k, l FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], \
     $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[]) \
     WITH ORDINALITY z(a, b, c, d, e, f, g, h, i, j, k, l, o) WHERE NOT EXISTS (SELECT FROM kg_assertions t \
     WHERE t.plane_id = $1 AND t.owner_id = z.b AND left(t.subject, 256) = left(z.d, 256) AND t.assertion_id = z.a) \
     ORDER BY o";
const DOCUMENTS: &str = "INSERT INTO documents (plane_id, kind, id, body, updated_at) SELECT $1, a, b, c, d \
     FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) z(a, b, c, d) ON CONFLICT DO NOTHING";
const GENERATION: &str = "UPDATE planes SET generation = generation + 1 WHERE plane_id = $1";
const STORED: &str = "SELECT r.run_id FROM unnest($2::uuid[]) k(id) CROSS JOIN LATERAL \
     (SELECT run_id FROM runs WHERE run_id = k.id AND plane_id + 0 = $1) r";
const CLEAR: &str = "DELETE FROM ledger WHERE run_id = ANY ($2) AND plane_id + 0 = $1";

/// A transaction that writes into one plane.
pub(super) struct Bulk<'a> {
    pub(super) database: &'a Database,
    pub(super) conn: &'a mut PgConnection,
    pub(super) plane: PlaneId,
}

impl Bulk<'_> {
    /// A statement whose first parameter is the plane.
    fn start(&self, sql: &'static str) -> Statement<'static> {
        sqlx::query(sql).bind(self.plane.0)
    }

    async fn run(&mut self, statement: Statement<'_>) -> sqlx::Result<Done> {
        Done::of(self.conn, self.database.in_transaction(statement)).await
    }

    /// Stores what is not there yet.
    pub(super) async fn rows(&mut self, batch: &ImportBatch) -> sqlx::Result<ImportCounts> {
        let mut fresh = self.runs(batch).await?;
        let mut counts = ImportCounts {
            runs: fresh.len() as u64,
            commands: self.commands(batch).await?,
            artifacts: self.artifacts(batch).await?,
            ..ImportCounts::default()
        };
        let owners = self.owners(batch).await?;
        counts.owners = owners.len() as u64;
        fresh.extend(owners);
        counts.spans = self.spans(&batch.spans, &fresh).await?;
        counts.statements = self.statements(&batch.statements).await?;
        counts.documents = self.documents(batch).await?;
        if counts.documents > 0 {
            self.run(self.start(GENERATION)).await?;
        }
        Ok(counts)
    }

    /// Which of these runs are stored.
    pub(super) async fn stored(&mut self, ids: &[Uuid]) -> sqlx::Result<HashSet<RunId>> {
        let found = self.run(self.start(STORED).bind(ids)).await?;
        found.rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
    }

    /// Stores the runs that are not stored yet; their ids.
    async fn runs(&mut self, batch: &ImportBatch) -> sqlx::Result<HashSet<String>> {
        let heads = batch.ledgers.iter().map(|(run, _)| run.0);
        let ids: Vec<Uuid> = heads
            .chain(batch.runs.iter().map(|run| run.head.run_id.0))
            .collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let known = self.stored(&ids).await?;
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
        self.run(self.start(CLEAR).bind(&begun)).await?;
        let mut segments = Segments::default();
        for (run, list) in &ledgers {
            segments.push(0, run.0, list);
        }
        self.run(segments.bind(self.start(LEDGER))).await?;
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
        self.run(states.bind(columns.bind(self.start(RUNS)))).await?;
        Ok(fresh.keys().map(ToString::to_string).collect())
    }

    async fn commands(&mut self, batch: &ImportBatch) -> sqlx::Result<u64> {
        let mut rows = Commands::default();
        for (command, created) in &batch.commands {
            rows.id.push(&command.command_id);
            rows.seq.push(command.seq);
            rows.run.push(&command.run_id);
            rows.kind.push(&command.kind);
            rows.payload.push(&command.payload);
            rows.client.push(command.client_id.as_deref());
            rows.ts.push(&command.ts);
            rows.created.push(Stamp(*created));
            rows.outcome.push(command.outcome.as_deref());
        }
        match rows.id.is_empty() {
            true => Ok(0),
            false => Ok(self.run(rows.bind(self.start(COMMANDS))).await?.affected),
        }
    }

    async fn artifacts(&mut self, batch: &ImportBatch) -> sqlx::Result<u64> {
        let mut rows = Artifacts::default();
        for row in &batch.artifacts {
            rows.id.push(&row.artifact_id);
            rows.run.push(row.run_id.as_deref());
            rows.blob.push(&row.blob_id);
            rows.content_type.push(&row.content_type);
            rows.size.push(row.size_bytes);
            rows.created.push(Stamp(row.created_at));
            rows.semantic.push(&row.semantic_kind);
            rows.render.push(&row.render_kind);
            rows.modality.push(&row.modality);
            rows.session.push(row.session_id.as_deref());
            rows.meta.push(&row.meta);
        }
        match rows.id.is_empty() {
            true => Ok(0),
            false => Ok(self.run(rows.bind(self.start(ARTIFACTS))).await?.affected),
        }
    }

    /// Stores the owners that are not there yet; their ids.
    async fn owners(&mut self, batch: &ImportBatch) -> sqlx::Result<Vec<String>> {
        let mut rows = Owners::default();
        for owner in &batch.owners {
            rows.id.push(&owner.owner_id);
            rows.session.push(owner.session_id.as_deref());
            rows.created.push(Stamp(owner.created_at));
            rows.updated.push(Stamp(owner.updated_at));
        }
        if rows.id.is_empty() {
            return Ok(Vec::new());
        }
        let new = self.run(rows.bind(self.start(OWNERS))).await?;
        new.rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// Adds all spans of fresh owners, and of the others those that they do not hold yet.
    async fn spans(&mut self, spans: &[SpanEntry], fresh: &HashSet<String>) -> sqlx::Result<u64> {
        if spans.is_empty() {
            return Ok(0);
        }
        let later = spans.iter().filter(|entry| !fresh.contains(&entry.owner_id));
        let ids: Vec<&str> = later.map(|entry| entry.span_id.as_str()).collect();
        let mut held: HashSet<(String, String)> = HashSet::new();
        if !ids.is_empty() {
            for row in self.run(self.start(HELD_SPANS).bind(&ids)).await?.rows {
                held.insert((row.try_get(0)?, row.try_get(1)?));
            }
        }
        let mut rows = Spans::default();
        for entry in spans {
            let known = || held.contains(&(entry.owner_id.clone(), entry.span_id.clone()));
            if !fresh.contains(&entry.owner_id) && known() {
                continue;
            }
            rows.owner.push(&entry.owner_id);
            rows.span.push(&entry.span_id);
            rows.change.push(entry.change.as_str());
            rows.created.push(Stamp(entry.created_at));
            rows.body.push(&entry.body);
        }
        Ok(self.run(rows.bind(self.start(SPANS))).await?.affected)
    }

    async fn statements(&mut self, statements: &[Assertion]) -> sqlx::Result<u64> {
        let mut rows = Statements::default();
        let (column, optional) = (column_text, |text: &Option<String>| {
            text.as_deref().map(column_text)
        });
        for row in statements {
            rows.id.push(&row.assertion_id);
            rows.owner.push(&row.owner_id);
            rows.scope.push(&row.scope);
            rows.subject.push(column(&row.subject));
            rows.predicate.push(column(&row.predicate));
            rows.object.push(column(&row.object));
            rows.observed.push(column(&row.observed_at));
            rows.from.push(optional(&row.valid_from));
            rows.until.push(optional(&row.valid_until));
            rows.body.push(&row.body);
            rows.model.push(row.embedding.as_ref().map(|found| &*found.model));
            let vector = row.embedding.as_ref().map(|found| vector_bytes(&found.vector));
            rows.vector.push(vector);
        }
        match rows.id.is_empty() {
            true => Ok(0),
            false => Ok(self.run(rows.bind(self.start(STATEMENTS))).await?.affected),
        }
    }

    async fn documents(&mut self, batch: &ImportBatch) -> sqlx::Result<u64> {
        let mut rows = Documents::default();
        for (kind, document) in &batch.documents {
            rows.kind.push(kind.as_str());
            rows.id.push(&document.id);
            rows.body.push(&document.body);
            rows.updated.push(Stamp(document.updated_at));
        }
        match rows.id.is_empty() {
            true => Ok(0),
            false => Ok(self.run(rows.bind(self.start(DOCUMENTS))).await?.affected),
        }
    }
}
