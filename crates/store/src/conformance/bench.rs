//! What the cases are built with.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ag_types::{
    Clock as _, PlaneId, PlaneKey, RunHead, RunId, RunKey, RunStatus, SessionId, SystemScope, TenantScope,
    Timestamp, WaitReason,
};
use uuid::Uuid;

use crate::{
    Claim, ClaimedRun, CommandTarget, Commit, CommitOutcome, Counters, ImportStore, MailKind, NewCommand,
    NewRun, NewSession, OutMail, Placement, PostOutcome, Rest, Result, RunColumns, Segment, Start,
    StartOutcome, Store, Sweep, Woken, fake::MovableClock,
};

pub(super) const SYSTEM: SystemScope = SystemScope::new("conformance suite");
pub(super) const POOL: &str = "default";
pub(super) const SECOND: i64 = 1_000_000;

/// A fresh store with its clock.
#[derive(Clone)]
pub struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) imports: Arc<dyn ImportStore>,
    pub(super) clock: Arc<MovableClock>,
    next: Arc<AtomicI64>,
}

impl Bench {
    pub(super) fn new(
        store: Arc<dyn Store>,
        imports: Arc<dyn ImportStore>,
        clock: Arc<MovableClock>,
    ) -> Self {
        Self {
            store,
            imports,
            clock,
            next: Arc::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Ids rise, like UUIDv7.
    pub(super) fn run_id(&self) -> RunId {
        RunId(Uuid::from_u128(
            (0x0198_u128 << 112) + self.number().unsigned_abs() as u128,
        ))
    }

    pub(super) fn root(&self) -> TenantScope {
        TenantScope::root()
    }

    pub(super) async fn other_plane(&self) -> TenantScope {
        let key = PlaneKey {
            tenant_id: "acme".into(),
            runtime_id: "alice".into(),
        };
        self.store.plane(&SYSTEM, &key).await.expect("plane")
    }

    pub(super) async fn session(&self) -> SessionId {
        let id = SessionId(self.number() + 1_000_000);
        let session = NewSession {
            id,
            pool: POOL.into(),
            node: "conformance".into(),
        };
        self.store.open_session(&SYSTEM, session).await.expect("session");
        id
    }

    pub(super) fn columns(&self, status: RunStatus) -> RunColumns {
        RunColumns {
            status,
            current_node: "node-1".to_owned(),
            wait_reason: None,
            wait_key: None,
            wait_until: None,
            paused: false,
            error: None,
            wait: None,
            vars: r#"{"z":1,"a":"é\u0000"}"#.into(),
            meta: "{}".into(),
            output: None,
            lifecycle: None,
            counters: Counters {
                steps: 1,
                llm_calls: 2,
                tool_calls: 3,
                tokens_total: 5_000_000_000,
            },
            updated_at: self.now(),
        }
    }

    pub(super) fn waiting(&self, key: &str) -> RunColumns {
        RunColumns {
            wait_reason: Some(WaitReason::Event),
            wait_key: Some(key.to_owned()),
            wait: Some(r#"{"reason":"event"}"#.into()),
            ..self.columns(RunStatus::Waiting)
        }
    }

    pub(super) fn new_run(&self, placement: Placement) -> NewRun {
        let status = match placement {
            Placement::Terminal => RunStatus::Completed,
            Placement::Rest { .. } => RunStatus::Waiting,
            Placement::Ready | Placement::Held { .. } => RunStatus::Running,
        };
        NewRun {
            head: RunHead {
                run_id: self.run_id(),
                workflow_id: "bundle@1:main".into(),
                actor_id: Some("gateway".into()),
                session_id: Some("session-1".into()),
                parent_run_id: None,
                created_at: self.now(),
            },
            pool: POOL.into(),
            bundle_sha256: Some("ab".repeat(32).into()),
            columns: self.columns(status),
            segments: Vec::new(),
            last_seq: 0,
            placement,
        }
    }

    pub(super) fn start_of(&self, runs: Vec<NewRun>) -> Start {
        Start {
            key: None,
            generation: None,
            runs,
            artifacts: Vec::new(),
            owners: Vec::new(),
            memory: Vec::new(),
            mail: Vec::new(),
            now: self.now(),
        }
    }

    /// Starts a run in a plane.
    pub(super) async fn started_in(&self, scope: &TenantScope, run: NewRun) -> RunKey {
        let key = RunKey {
            run: run.head.run_id,
            plane: scope.plane,
        };
        let outcome = self
            .store
            .start(scope, self.start_of(vec![run]))
            .await
            .expect("start");
        assert_eq!(outcome, StartOutcome::Created);
        key
    }

    /// Starts a run in the root plane.
    pub(super) async fn started(&self, placement: Placement) -> RunKey {
        self.started_in(&self.root(), self.new_run(placement)).await
    }

    pub(super) async fn claim(&self, session: SessionId, keys: &[RunKey]) -> Result<Claim> {
        self.store.claim(&SYSTEM, session, keys, &[]).await
    }

    /// Claims one run that must be claimable.
    pub(super) async fn claimed(&self, session: SessionId, key: RunKey) -> ClaimedRun {
        let claim = self.claim(session, &[key]).await.expect("claim");
        claim.runs.into_iter().next().expect("the run is claimable")
    }

    /// True if the run is ready and free.
    pub(super) async fn is_ready(&self, key: RunKey) -> bool {
        self.candidates(1_000).await.contains(&key)
    }

    pub(super) async fn candidates(&self, limit: usize) -> Vec<RunKey> {
        let query = crate::CandidateQuery {
            pool: POOL.into(),
            limit,
            after_plane: PlaneId(0),
        };
        self.store.candidates(&SYSTEM, query).await.expect("candidates")
    }

    /// Starts a ready run and claims it.
    pub(super) async fn held(&self, session: SessionId) -> ClaimedRun {
        let key = self.started(Placement::Ready).await;
        self.claimed(session, key).await
    }

    /// A commit that changes nothing but the revision.
    pub(super) fn commit_of(&self, session: SessionId, run: &ClaimedRun, rest: Rest) -> Commit {
        let status = match rest {
            Rest::Terminal => RunStatus::Completed,
            Rest::Wait { .. } => RunStatus::Waiting,
            Rest::Keep | Rest::Again => RunStatus::Running,
        };
        Commit {
            session,
            key: run.key,
            epoch: run.epoch,
            rev: run.rev,
            rest,
            seen: 0,
            progress: false,
            pool: None,
            columns: self.columns(status),
            segments: Vec::new(),
            last_seq: run.last_seq,
            children: Vec::new(),
            mail: Vec::new(),
            outcomes: Vec::new(),
            artifacts: Vec::new(),
            owners: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub(super) async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(&SYSTEM, commit).await.expect("commit")
    }

    /// Commits with a rest and expects success; the number of the last mail.
    pub(super) async fn rest(&self, session: SessionId, run: &ClaimedRun, rest: Rest) -> i64 {
        match self.commit(self.commit_of(session, run, rest)).await {
            CommitOutcome::Committed { mail_in } => mail_in,
            other => panic!("expected a commit, got {other:?}"),
        }
    }

    pub(super) fn command_to(&self, id: &str, targets: &[(RunId, MailKind)]) -> NewCommand {
        let run_id = targets
            .first()
            .map_or_else(|| "session-1".to_owned(), |(run, _)| run.to_string());
        let target = |(run, kind): &(RunId, MailKind)| CommandTarget {
            run: *run,
            kind: *kind,
            body: "{}".into(),
        };
        NewCommand {
            command_id: id.to_owned(),
            run_id,
            kind: "pause".to_owned(),
            payload: r#"{"b":1,"a":2}"#.to_owned(),
            client_id: Some("client".to_owned()),
            ts: "2026-11-20T11:32:02Z".to_owned(),
            now: self.now(),
            targets: targets.iter().map(target).collect(),
            outcome: None,
        }
    }

    /// Posts a command with one target in the root plane.
    pub(super) async fn post(&self, id: &str, run: RunId, kind: MailKind) -> PostOutcome {
        self.store
            .post_command(&self.root(), self.command_to(id, &[(run, kind)]))
            .await
            .expect("post")
    }

    /// Numbers of the mail of a run above `after`.
    pub(super) async fn mail_numbers(&self, key: RunKey, after: i64) -> Vec<i64> {
        let mail = self.store.read_mail(&SYSTEM, key, after).await.expect("mail");
        mail.into_iter().map(|mail| mail.n).collect()
    }

    pub(super) async fn sweep(&self, sweep: Sweep) -> Vec<RunKey> {
        let woken: Vec<Woken> = self.store.sweep(&SYSTEM, sweep).await.expect("sweep");
        woken.into_iter().map(|woken| woken.key).collect()
    }
}

/// Mail to another run.
pub(super) fn mail_to(to: RunId, kind: MailKind) -> OutMail {
    OutMail {
        to,
        kind,
        body: r#"{"k":"v"}"#.into(),
        command_id: None,
    }
}

/// Consecutive records `{"n":first}` …
pub(super) fn segment(first_seq: i64, last_seq: i64) -> Segment {
    let lines: Vec<_> = (first_seq..=last_seq).map(|n| format!("{{\"n\":{n}}}")).collect();
    Segment {
        first_seq,
        last_seq,
        lines: lines.join("\n").into(),
    }
}
