//! Write sets.

use ag_store::{
    Claim, ClaimedRun, Commit, Counters, NewRun, NewSession, Placement, Rest, RunColumns, Segment, Start,
};
use ag_types::{
    Clock as _, RunHead, RunId, RunKey, RunStatus, SessionId, SystemClock, SystemScope, TenantScope,
};
use uuid::Uuid;

pub(crate) const SYSTEM: SystemScope = SystemScope::new("test");

pub(crate) fn columns(status: RunStatus) -> RunColumns {
    RunColumns {
        status,
        current_node: "node-1".to_owned(),
        wait_reason: None,
        wait_key: None,
        wait_until: None,
        paused: false,
        error: None,
        wait: None,
        vars: format!(r#"{{"text":"{}"}}"#, "state of a run ".repeat(256)).into(),
        meta: "{}".into(),
        output: None,
        lifecycle: None,
        counters: Counters::default(),
        updated_at: SystemClock.now(),
    }
}

pub(crate) fn start() -> Start {
    let now = SystemClock.now();
    let run = NewRun {
        head: RunHead {
            run_id: RunId(Uuid::now_v7()),
            workflow_id: "bundle@1:main".into(),
            actor_id: None,
            session_id: Some("session".into()),
            parent_run_id: None,
            created_at: now,
        },
        pool: "default".into(),
        bundle_sha256: Some("ab".repeat(32).into()),
        columns: columns(RunStatus::Running),
        segments: Vec::new(),
        last_seq: 0,
        placement: Placement::Ready,
    };
    Start {
        key: None,
        generation: None,
        runs: vec![run],
        artifacts: Vec::new(),
        owners: Vec::new(),
        memory: Vec::new(),
        mail: Vec::new(),
        now,
    }
}

pub(crate) fn key(start: &Start) -> RunKey {
    RunKey {
        run: start.runs[0].head.run_id,
        plane: TenantScope::root().plane,
    }
}

pub(crate) fn session(id: i64) -> NewSession {
    NewSession {
        id: SessionId(id),
        pool: "default".into(),
        node: "test".to_owned(),
    }
}

pub(crate) fn only(claim: Claim) -> ClaimedRun {
    claim.runs.into_iter().next().expect("the run is claimable")
}

/// Eight records and the given rest.
pub(crate) fn commit(session: SessionId, run: &ClaimedRun, rest: Rest) -> Commit {
    let line = format!(r#"{{"text":"{}"}}"#, "record ".repeat(16));
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
        seen: run.mail_in,
        progress: false,
        pool: None,
        columns: columns(status),
        segments: vec![Segment {
            first_seq: run.last_seq + 1,
            last_seq: run.last_seq + 8,
            lines: vec![line; 8].join("\n").into(),
        }],
        last_seq: run.last_seq + 8,
        children: Vec::new(),
        mail: Vec::new(),
        outcomes: Vec::new(),
        artifacts: Vec::new(),
        owners: Vec::new(),
        memory: Vec::new(),
    }
}
