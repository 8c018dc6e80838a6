//! Hot statements use exactly one index: on a database that is empty, and on one that was filled while the plans made
//! on the empty one are still in use.

use std::{collections::BTreeMap, sync::Arc};

use ag_store::{
    ArtifactFilter, ArtifactIndex as _, ArtifactRow, CandidateQuery, ClaimedRun, CommandStore as _,
    CommandTarget, Document, DocumentKind, Documents as _, MailKind, NewCommand, OutMail, OwnerRow,
    OwnerStore as _, PostOutcome, PutMode, Rest, RunFilter, RunReads as _, RunStore as _, Start, StartKey,
    StartOutcome, Sweep,
};
use ag_store_postgres::{PostgresStore, Role};
use ag_types::{Clock as _, PlaneId, RunId, RunKey, SessionId, SystemClock, TenantScope, WaitReason};
use sqlx::PgConnection;

use crate::build::{SYSTEM, commit, key, only, session, start};

const ROUNDS: i64 = 12;
/// Rows of other runs; a plan that walks an index would read them all.
const OTHERS: i64 = 30_000;

/// A process that serves callers and one that runs, each as its own user.
struct Stores {
    all: bool,
    api: Arc<PostgresStore>,
    engine: Arc<PostgresStore>,
    me: SessionId,
}

fn command(id: String, run: RunId) -> NewCommand {
    NewCommand {
        command_id: id,
        run_id: run.to_string(),
        kind: "resume".to_owned(),
        payload: "{}".to_owned(),
        client_id: None,
        ts: "2026-11-20T11:32:02Z".to_owned(),
        now: SystemClock.now(),
        targets: vec![CommandTarget {
            run,
            kind: MailKind::Resume,
            body: "{}".into(),
        }],
        outcome: None,
    }
}

/// A start with everything that a start can have.
fn full_start(name: &str, to: RunId, generation: i64) -> Start {
    let mut full = start();
    full.key = Some(StartKey {
        key: name.to_owned(),
        body_sha256: [1; 32],
        expires_before: SystemClock.now().plus_micros(-1_000_000),
    });
    full.generation = Some(generation);
    full.owners = vec![OwnerRow {
        owner_id: name.to_owned(),
        session_id: None,
        created_at: full.now,
        updated_at: full.now,
    }];
    full.artifacts = vec![artifact(name)];
    full.mail = vec![OutMail {
        to,
        kind: MailKind::Event,
        body: "{}".into(),
        command_id: None,
    }];
    full
}

fn artifact(name: &str) -> ArtifactRow {
    ArtifactRow {
        artifact_id: name.to_owned(),
        run_id: Some(name.to_owned()),
        blob_id: name.to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes: 1,
        created_at: SystemClock.now(),
        semantic_kind: "file".to_owned(),
        render_kind: "text".to_owned(),
        modality: "text".to_owned(),
        session_id: Some(name.to_owned()),
        meta: "{}".into(),
    }
}

impl Stores {
    async fn claimed(&self, start: &Start) -> ClaimedRun {
        only(
            self.engine
                .claim(&SYSTEM, self.me, &[key(start)], &[])
                .await
                .expect("claim"),
        )
    }

    /// Every hot statement, several times: servers make a lasting plan at once for functions, later for others.
    async fn work(&self, name: &str) {
        for round in 0..ROUNDS {
            let name = format!("{name}-{round}");
            let run = self.writes(&name).await;
            self.looks().await;
            if self.all {
                self.reads_and_rows(&name, run).await;
            }
        }
    }

    /// The life of a run.
    async fn writes(&self, name: &str) -> RunKey {
        let root = TenantScope::root();
        let Self { api, engine, me, all } = self;
        let (first, third) = (start(), start());
        api.start(&root, first.clone()).await.expect("start");
        let generation = api.generation(&root).await.expect("generation");
        let second = match all {
            true => full_start(name, key(&first).run, generation),
            false => start(),
        };
        let started = api.start(&root, second.clone()).await;
        assert_eq!(started.expect("start"), StartOutcome::Created);
        api.start(&root, third.clone()).await.expect("start");
        let run = self.claimed(&first).await;
        let mut send = commit(*me, &run, Rest::Keep);
        send.seen = run.mail_in;
        send.mail = vec![OutMail {
            to: key(&second).run,
            kind: MailKind::Event,
            body: "{}".into(),
            command_id: None,
        }];
        send.children = start().runs;
        send.children[0].head.parent_run_id = Some(run.key.run);
        send.artifacts = vec![artifact(name)];
        if *all {
            send.outcomes = vec![(name.into(), "refused".to_owned())];
        }
        engine.commit(&SYSTEM, send).await.expect("commit");
        let posted = api
            .post_command(&root, command(name.to_owned(), run.key.run))
            .await;
        assert!(matches!(posted, Ok(PostOutcome::Accepted { .. })), "{posted:?}");
        let mut end = commit(*me, &run, Rest::Terminal);
        (end.rev, end.seen, end.segments, end.last_seq) =
            (run.rev + 1, run.mail_in + 1, Vec::new(), run.last_seq + 8);
        engine.commit(&SYSTEM, end).await.expect("commit");
        let other = self.claimed(&second).await;
        engine.read_mail(&SYSTEM, other.key, 0).await.expect("mail");
        let mut wait = commit(*me, &other, Rest::Wait { wake_at: None });
        (wait.columns.wait_key, wait.columns.wait_reason) = (Some(name.to_owned()), Some(WaitReason::Event));
        engine.commit(&SYSTEM, wait).await.expect("commit");
        let given_back = self.claimed(&third).await;
        let driven = [(given_back.key, given_back.epoch)];
        let noted = engine.note_driven(&SYSTEM, *me, &driven).await;
        noted.expect("note");
        let released = engine
            .release(&SYSTEM, *me, given_back.key, given_back.epoch)
            .await;
        assert!(released.expect("release"));

        run.key
    }

    /// Reads of callers, and rows beside the runs.
    async fn reads_and_rows(&self, name: &str, run: RunKey) {
        let (root, Self { api, .. }) = (TenantScope::root(), self);
        let page = api.ledger(&root, run.run, 4, 2).await.expect("page");
        assert!(page.is_some());
        api.command(&root, name).await.expect("command").expect("present");
        api.tails(&SYSTEM, &[run, run]).await.expect("tails");
        assert!(api.run(&root, run.run).await.expect("run").is_some());
        assert_eq!(api.children(&root, run.run).await.expect("children").len(), 1);
        assert_eq!(api.descendants(&root, run.run, 10).await.expect("tree").len(), 1);
        assert_eq!(api.live_below(&root, run.run).await.expect("live").len(), 1);
        assert_eq!(api.listeners(&root, name).await.expect("listeners").len(), 1);
        assert!(api.owner(&root, name).await.expect("owner").is_some());
        assert!(api.artifact(&root, name).await.expect("artifact").is_some());
        let filter = ArtifactFilter {
            run_ids: vec![name.to_owned()],
            limit: 5,
            ..ArtifactFilter::default()
        };
        assert_eq!(api.artifacts(&root, filter).await.expect("artifacts").len(), 1);
        let appended = api.append_to_terminal(&root, run.run, &["{}".to_owned()]).await;
        assert_eq!(appended.expect("append"), Some(9));
        let document = Document {
            id: name.to_owned(),
            body: "{}".to_owned(),
            updated_at: SystemClock.now(),
        };
        api.put_document(&root, DocumentKind::CapabilityDefault, document, PutMode::Upsert)
            .await
            .expect("document");
        let kind = DocumentKind::CapabilityDefault;
        assert!(api.document(&root, kind, name).await.expect("document").is_some());
        assert!(api.delete_document(&root, kind, name).await.expect("document"));
        api.delete_artifacts_of(&root, &[name.to_owned()])
            .await
            .expect("artifacts");
        let purged = api.purge_runs(&root, &[run.run]).await.expect("purge");
        assert_eq!(purged, (1, 9, 1));
    }

    /// What looks for something without a key.
    async fn looks(&self) {
        let (root, Self { api, engine, me, all }) = (TenantScope::root(), self);
        engine.beat(&SYSTEM, *me, "default").await.expect("beat");
        engine.renew_session(&SYSTEM, *me).await.expect("renewal");
        for sweep in [Sweep::Timers, Sweep::Sessions, Sweep::Cancels] {
            engine.sweep(&SYSTEM, sweep).await.expect("sweep");
        }
        let query = CandidateQuery {
            pool: "default".into(),
            limit: 8,
            after_plane: PlaneId(0),
        };
        engine.candidates(&SYSTEM, query).await.expect("candidates");
        engine.held_runs(&SYSTEM, *me).await.expect("held runs");
        let absent = RunKey {
            run: start().runs[0].head.run_id,
            plane: root.plane,
        };
        engine.ready_among(&SYSTEM, &[absent]).await.expect("ready runs");
        api.take_over(&root, &[absent.run]).await.expect("take over");
        if !all {
            return;
        }
        let blobs = ["b", "b2", "b3"].map(str::to_owned);
        engine.blobs_in_use(&root, &blobs).await.expect("blobs");
        api.session_listeners(&root, "nobody's", 10)
            .await
            .expect("listeners");
        for filter in [
            RunFilter {
                limit: 10,
                ..RunFilter::default()
            },
            RunFilter {
                limit: 10,
                root_only: true,
                ..RunFilter::default()
            },
            RunFilter {
                limit: 10,
                session_id: Some("nobody's".to_owned()),
                ..RunFilter::default()
            },
        ] {
            api.runs(&root, filter).await.expect("list");
        }
    }
}

async fn fill(conn: &mut PgConnection) {
    sqlx::raw_sql(
        "INSERT INTO runs SELECT gen_random_uuid(), 1, 'waiting', 0, 0, 8, now(), now(), false, 0, 0, 0, 0, NULL, \
         'w', NULL, 's', 'b2', 'n', NULL, 'k', NULL, NULL, NULL, NULL, '{}', NULL, '{}' \
         FROM generate_series(1, 30000); \
         INSERT INTO run_heads (run_id, plane_id, pool, ready_at, owner) SELECT run_id, 1, 'default', \
         CASE WHEN random() < 0.5 THEN now() END, CASE WHEN random() < 0.3 THEN 99 END FROM runs WHERE workflow_id = 'w'; \
         INSERT INTO ledger SELECT run_id, 1, 8, 1, '{}' FROM runs WHERE workflow_id = 'w'; \
         INSERT INTO mail SELECT run_id, 1, 1, 'event', '{}', 'c' FROM runs WHERE workflow_id = 'w'; \
         INSERT INTO commands SELECT 1, 'c' || n, n, 'r' || n, 'resume', '{}', NULL, '', now(), NULL \
         FROM generate_series(1, 30000) n; \
         INSERT INTO start_keys SELECT 1, 'k' || n, '', gen_random_uuid(), now() FROM generate_series(1, 30000) n; \
         INSERT INTO memory_owners SELECT 1, 'o' || n, NULL, now(), now() FROM generate_series(1, 30000) n; \
         INSERT INTO artifacts SELECT 1, 'a' || n, 'r' || n, 'b', 't', 1, now(), 's', 'r', 'm', 's', '{}' \
         FROM generate_series(1, 30000) n; \
         INSERT INTO documents SELECT 1, 'bundle', 'd' || n, '{}', now() FROM generate_series(1, 30000) n",
    )
    .execute(conn)
    .await
    .expect("fill");
}

const TABLES: [&str; 9] = [
    "runs",
    "run_heads",
    "ledger",
    "mail",
    "commands",
    "start_keys",
    "memory_owners",
    "artifacts",
    "documents",
];

/// Sequential scans by table, and rows read by index.
async fn counts(conn: &mut PgConnection) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let tables: Vec<(String, i64)> = sqlx::query_as(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables \
         WHERE relname = ANY ($1)",
    )
    .bind(TABLES.as_slice())
    .fetch_all(&mut *conn)
    .await
    .expect("tables");
    let indexes: Vec<(String, i64)> = sqlx::query_as(
        "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes \
         WHERE relname = ANY ($1)",
    )
    .bind(TABLES.as_slice())
    .fetch_all(conn)
    .await
    .expect("indexes");
    (tables.into_iter().collect(), indexes.into_iter().collect())
}

/// A database as it is when its first runs come, and how they fare when it has grown before anybody looked at it: the
/// plans of then are still in use.
async fn grown(vacuumed: bool) {
    let Some((server, database)) = crate::migrated().await else {
        return;
    };
    let mut conn = server.connect(&database).await;
    if vacuumed {
        // The statistics now say that all tables are empty, not that nobody knows.
        sqlx::raw_sql("VACUUM ANALYZE")
            .execute(&mut conn)
            .await
            .expect("vacuum");
    }
    for table in TABLES {
        // Safe: a list in this file.
        let off = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"));
        sqlx::raw_sql(off).execute(&mut conn).await.expect("settings");
    }
    crate::security::users(&mut conn).await;
    let stores = Stores {
        // On statistics of emptiness all indexes look alike; then only the write path, which hides the choice, keeps
        // its plans. The statistics last until the first minute's rows are counted.
        all: !vacuumed,
        api: crate::security::store(server, &database, "api_user", Role::Api).await,
        engine: crate::security::store(server, &database, "engine_user", Role::Engine).await,
        me: SessionId(7),
    };
    stores
        .engine
        .open_session(&SYSTEM, session(7))
        .await
        .expect("session");
    stores.work("empty").await;
    fill(&mut conn).await;
    // The figures of a connection arrive when it ends or asks for it.
    sqlx::raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(&mut conn)
        .await
        .expect("flush");
    let before = counts(&mut server.connect(&database).await).await;
    for round in 0..ROUNDS {
        let name = format!("filled-{round}");
        let run = stores.writes(&name).await;
        stores.looks().await;
        if stores.all {
            if round == 0 {
                // What autovacuum does within a minute; the write path must not need it.
                sqlx::raw_sql("ANALYZE")
                    .execute(&mut conn)
                    .await
                    .expect("analyze");
            }
            stores.reads_and_rows(&name, run).await;
        }
    }
    stores.api.close().await;
    stores.engine.close().await;
    let after = counts(&mut server.connect(&database).await).await;
    let walked: Vec<_> = after
        .0
        .iter()
        .filter(|(table, scans)| **scans > before.0[*table])
        .collect();
    assert!(walked.is_empty(), "sequential scans: {walked:?}");
    let read: Vec<_> = after
        .1
        .iter()
        .map(|(index, read)| (index, read - before.1[index]))
        .filter(|(_, read)| *read > OTHERS / 2)
        .collect();
    assert!(read.is_empty(), "index rows read in {ROUNDS} rounds: {read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_walks_a_table_or_an_index() {
    grown(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_path_survives_statistics_of_emptiness() {
    grown(true).await;
}
