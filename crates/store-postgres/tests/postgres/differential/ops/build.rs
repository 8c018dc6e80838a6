//! Write sets.

use std::sync::Arc;

use ag_store::{
    CommandTarget, Commit, Counters, MemoryRow, NewCommand, NewRun, OutMail, OwnerRow, Placement, Rest,
    RunColumns, Segment, SpanChange, SpanEntry, Start, StartKey,
};
use ag_types::{Clock as _, RunHead, RunId, RunStatus, SessionId, TenantScope, WaitReason};
use uuid::Uuid;

use super::super::world::{Held, World};

pub(in super::super) const WAIT_KEYS: [&str; 3] = ["evt:a", "evt:b", "evt:\u{e9}"];

impl World {
    fn run_id(&mut self) -> RunId {
        RunId(Uuid::from_u128((0x0198_u128 << 112) + u128::from(self.number())))
    }

    pub(super) fn pool(&mut self) -> Arc<str> {
        if self.random.percent(80) { "default" } else { "gpu" }.into()
    }

    fn columns(&mut self, status: RunStatus) -> RunColumns {
        let n = self.number();
        let waits = status == RunStatus::Waiting;
        let event = waits && self.random.percent(70);
        RunColumns {
            status,
            current_node: format!("node-{}", n % 7),
            wait_reason: waits.then_some(if event {
                WaitReason::Event
            } else {
                WaitReason::Until
            }),
            wait_key: event.then(|| WAIT_KEYS[self.random.below(WAIT_KEYS.len())].to_owned()),
            wait_until: (waits && !event).then(|| self.clock.now().plus_micros(5_000_000)),
            paused: waits && self.random.percent(15),
            error: (status == RunStatus::Failed).then(|| "it broke: \u{2603}".to_owned()),
            wait: waits.then(|| format!("{{\"n\":{n}}}").into()),
            vars: format!("{{\"z\":{n},\"a\":\"\\u0000\u{e9}\"}}").into(),
            meta: format!("{{\"visits\":{n}}}").into(),
            output: (status == RunStatus::Completed).then(|| "{\"success\":true}".into()),
            lifecycle: match self.random.below(8) {
                0 => Some(r#"{"purpose":"draft_test"}"#.into()),
                1 => Some(r#"{"purpose":"other","draft_test":1}"#.into()),
                2 => Some("no JSON, draft_test".into()),
                _ => None,
            },
            counters: Counters {
                steps: i32::try_from(n % 100).expect("small"),
                llm_calls: 1,
                tool_calls: 0,
                tokens_total: 1 << 40,
            },
            updated_at: self.clock.now(),
        }
    }

    fn segments(&mut self, after: i64) -> (Vec<Segment>, i64) {
        let (mut segments, mut last) = (Vec::new(), after);
        for _ in 0..self.random.below(3) {
            let first = last + 1;
            last += 1 + i64::try_from(self.random.below(4)).expect("small");
            let lines: Vec<_> = (first..=last).map(|n| format!("{{\"record\":{n}}}")).collect();
            segments.push(Segment {
                first_seq: first,
                last_seq: last,
                lines: lines.join("\n").into(),
            });
        }
        (segments, last)
    }

    fn status(&mut self, placement: Placement) -> RunStatus {
        match placement {
            Placement::Terminal => {
                [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled][self.random.below(3)]
            }
            Placement::Rest { .. } => RunStatus::Waiting,
            Placement::Ready | Placement::Held { .. } => RunStatus::Running,
        }
    }

    fn new_run(&mut self, parent: Option<RunId>, holder: Option<SessionId>) -> NewRun {
        let wake_at = self
            .random
            .percent(50)
            .then(|| self.clock.now().plus_micros(2_500_000));
        let placement = match (self.random.below(10), holder) {
            (0..5, _) => Placement::Ready,
            (5..7, Some(session)) => Placement::Held { session, epoch: 1 },
            (9, _) => Placement::Terminal,
            _ => Placement::Rest { wake_at },
        };
        let status = self.status(placement);
        let (segments, last_seq) = self.segments(0);
        NewRun {
            head: RunHead {
                run_id: self.run_id(),
                workflow_id: if self.random.percent(10) {
                    "__internal"
                } else {
                    "bundle@1:main"
                }
                .into(),
                actor_id: self.random.percent(50).then(|| "gateway".into()),
                session_id: self.random.percent(70).then(|| "session-1".into()),
                parent_run_id: parent,
                created_at: self.clock.now(),
            },
            pool: self.pool(),
            bundle_sha256: self.random.percent(50).then(|| "ab".repeat(32).into()),
            columns: self.columns(status),
            segments,
            last_seq,
            placement,
        }
    }

    fn owners(&mut self) -> Vec<OwnerRow> {
        if !self.random.percent(20) {
            return Vec::new();
        }
        let now = self.clock.now();
        vec![OwnerRow {
            owner_id: format!("session_memory_{}", self.random.below(3)),
            session_id: Some(format!("s{}", self.number())),
            created_at: now,
            updated_at: now,
        }]
    }

    fn memory(&mut self) -> Vec<MemoryRow> {
        if !self.random.percent(20) {
            return Vec::new();
        }
        vec![MemoryRow::Span(SpanEntry {
            owner_id: format!("session_memory_{}", self.random.below(3)),
            span_id: format!("span-{}", self.number()),
            change: SpanChange::Added,
            body: "{}".into(),
            created_at: self.clock.now(),
        })]
    }

    fn letters(&mut self, scope: &TenantScope, inner: &[RunId]) -> Vec<OutMail> {
        let mut mail = Vec::new();
        while self.random.percent(35) && mail.len() < 3 {
            let other = self.run_of(scope).map(|key| key.run);
            let Some(to) = self
                .random
                .of(inner)
                .copied()
                .filter(|_| mail.is_empty())
                .or(other)
            else {
                break;
            };
            let body = format!("{{\"letter\":{}}}", self.number()).into();
            let command = self
                .random
                .percent(20)
                .then(|| self.commands.last().map(|(_, id)| id.as_str().into()));
            mail.push(OutMail {
                to,
                kind: self.mail_kind(),
                body,
                command_id: command.flatten(),
            });
        }
        mail
    }

    pub(super) fn new_start(&mut self, scope: &TenantScope) -> Start {
        let holder = self.random.of(&self.sessions).copied();
        let mut runs = vec![self.new_run(None, holder)];
        let root = runs[0].head.run_id;
        for _ in 0..self.random.below(3) {
            let mut listener = self.new_run(Some(root), None);
            listener.placement = Placement::Rest { wake_at: None };
            listener.columns = self.columns(RunStatus::Waiting);
            runs.push(listener);
        }
        let now = self.clock.now();
        let key = self.random.percent(25).then(|| StartKey {
            key: format!("key-{}", self.random.below(4)),
            body_sha256: [u8::try_from(self.random.below(2)).expect("small"); 32],
            expires_before: now.plus_micros(-15_000_000),
        });
        let inner: Vec<_> = runs.iter().map(|run| run.head.run_id).collect();
        Start {
            key,
            generation: self.random.percent(10).then_some(0),
            artifacts: Vec::new(),
            owners: self.owners(),
            memory: self.memory(),
            mail: self.letters(scope, &inner),
            runs,
            now,
        }
    }

    pub(super) fn new_commit(&mut self, held: &Held) -> Commit {
        let scope = self.scope_of(held.key);
        let wake_at = self
            .random
            .percent(40)
            .then(|| self.clock.now().plus_micros(1_500_000));
        let rest = match self.random.below(10) {
            0..4 => Rest::Keep,
            4..7 => Rest::Wait { wake_at },
            7 => Rest::Again,
            _ => Rest::Terminal,
        };
        let status = match rest {
            Rest::Keep | Rest::Again => RunStatus::Running,
            Rest::Wait { .. } => RunStatus::Waiting,
            Rest::Terminal => RunStatus::Completed,
        };
        let (segments, last_seq) = self.segments(held.last_seq);
        let mut children = Vec::new();
        while self.random.percent(25) && children.len() < 3 {
            children.push(self.new_run(Some(held.key.run), Some(held.session)));
        }
        let mut inner: Vec<_> = children.iter().map(|run| run.head.run_id).collect();
        inner.push(held.key.run);
        let outcomes = self.random.of(&self.commands).cloned();
        let outcomes = outcomes.filter(|(of, _)| of.plane == scope.plane && self.random.percent(30));
        Commit {
            session: held.session,
            key: held.key,
            epoch: 0,
            rev: held.rev,
            rest,
            seen: if self.random.percent(70) {
                held.mail_in
            } else {
                held.seen
            },
            progress: self.random.percent(30),
            pool: self.random.percent(10).then(|| self.pool()),
            columns: self.columns(status),
            segments,
            last_seq,
            mail: self.letters(&scope, &inner),
            children,
            outcomes: outcomes
                .into_iter()
                .map(|(_, id)| (id.into(), "refused".to_owned()))
                .collect(),
            artifacts: Vec::new(),
            owners: self.owners(),
            memory: self.memory(),
        }
    }

    pub(super) fn new_command(&mut self, scope: &TenantScope) -> NewCommand {
        let again = self
            .random
            .of(&self.commands)
            .cloned()
            .filter(|_| self.random.percent(15));
        let command_id = again.map_or_else(|| format!("command-{}", self.number()), |(_, id)| id);
        let mut targets: Vec<CommandTarget> = Vec::new();
        let kind = self.mail_kind();
        for _ in 0..=self.random.below(2) {
            if let Some(key) = self.run_of(scope)
                && targets.iter().all(|target| target.run != key.run)
            {
                targets.push(CommandTarget {
                    run: key.run,
                    kind,
                    body: "{\"by\":\"command\"}".into(),
                });
            }
        }
        NewCommand {
            command_id,
            run_id: targets
                .first()
                .map_or_else(|| "session-1".to_owned(), |target| target.run.to_string()),
            kind: kind.as_str().to_owned(),
            payload: "{\"b\":1,\"a\":2}".to_owned(),
            client_id: self.random.percent(50).then(|| "client".to_owned()),
            ts: "2026-11-20T11:32:02Z".to_owned(),
            now: self.clock.now(),
            targets,
            outcome: self.random.percent(5).then(|| "refused at once".to_owned()),
        }
    }
}
