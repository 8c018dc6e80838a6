//! Storage, outside systems and a driver with the boundaries of the real one (architecture D4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ag_kernel::{EffectRequest, HostAnswers, Outcome, RunAux, StepEnv, Stepped, Tick, ToolCatalogue};
use ag_types::{
    Clock, EffectKind, IdGen, Object, RunHead, RunId, RunState, RunStatus, Timestamp, Wait, WaitReason,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::flow::Flow;

const RUN: &str = "8d6899dd-0000-4000-8000-000000000001";
/// More rests than any generated flow can have.
const MAX_DRIVES: usize = 400;

/// What survives a crash: text, as the store keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    status: RunStatus,
    current_node: String,
    vars: String,
    wait: Option<String>,
    output: Option<String>,
    error: Option<String>,
    aux: String,
    /// Mail taken into account.
    seen: BTreeSet<usize>,
    /// Lines of the ledger.
    pub(crate) ledger: Vec<String>,
}

impl Stored {
    fn new() -> Self {
        Self {
            status: RunStatus::Running,
            current_node: "n0".into(),
            vars: "{}".into(),
            wait: None,
            output: None,
            error: None,
            aux: "{}".into(),
            seen: BTreeSet::new(),
            ledger: Vec::new(),
        }
    }
}

/// A pause that somebody posts while the run is at its `step`-th planned step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    pub(crate) step: u64,
    /// Visible only once the step's outside call has been made.
    pub(crate) during_call: bool,
}

/// A call as an outside system saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) key: String,
    pub(crate) ledger_key: String,
    pub(crate) attempt: u32,
    step: u64,
}

/// Where a crash happens: at the n-th commit, before or after it is applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashAt {
    pub(crate) commit: usize,
    pub(crate) applied: bool,
}

struct Crash;

/// What is left of a finished run.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) stored: Stored,
    pub(crate) calls: Vec<Call>,
    pub(crate) commits: usize,
    /// The ledger as it was when the crash struck, with the number of calls made until then.
    pub(crate) crashed: Option<(Vec<String>, usize)>,
}

impl Finished {
    /// Status, node, error, output and variables, without the control block that depends on when a pause came.
    pub(crate) fn state(&self) -> Value {
        let mut vars: Value = serde_json::from_str(&self.stored.vars).expect("vars");
        if let Some(runtime) = vars.get_mut("_runtime").and_then(Value::as_object_mut) {
            runtime.shift_remove("control");
        }
        if vars.get("_runtime") == Some(&json!({})) {
            vars.as_object_mut().expect("object").shift_remove("_runtime");
        }
        let aux: RunAux = serde_json::from_str(&self.stored.aux).expect("aux");
        json!({
            "status": self.stored.status, "node": self.stored.current_node, "error": self.stored.error,
            "output": self.stored.output, "vars": vars, "visits": aux.visits,
        })
    }
}

pub(crate) struct SeqIds(pub(crate) std::sync::atomic::AtomicU64);

impl IdGen for SeqIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.random()))
    }
    fn random(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

#[derive(Clone, Copy)]
struct At(Timestamp);
impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct NoTools;
impl ToolCatalogue for NoTools {
    fn spec(&self, _: &str) -> Option<Value> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

/// Executes one run of a flow.
pub(crate) struct World<'f> {
    flow: &'f Flow,
    /// Every n-th outside call (by key) fails.
    fails: u8,
    pauses: Vec<Pause>,
    crash: Option<CrashAt>,
    stored: Stored,
    calls: Vec<Call>,
    commits: usize,
    crashed: Option<(Vec<String>, usize)>,
    now: Timestamp,
    ids: Arc<SeqIds>,
    zone: jiff::tz::TimeZone,
}

impl<'f> World<'f> {
    pub(crate) fn new(flow: &'f Flow, fails: u8, pauses: &[Pause], first_id: u64) -> Self {
        Self {
            flow,
            fails,
            pauses: pauses.to_vec(),
            crash: None,
            stored: Stored::new(),
            calls: Vec::new(),
            commits: 0,
            crashed: None,
            now: Timestamp::from_micros(1_000_000 + first_id as i64),
            ids: Arc::new(SeqIds(first_id.into())),
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    pub(crate) fn crashing(mut self, at: CrashAt) -> Self {
        self.crash = Some(at);
        self
    }

    /// Drives the run to its end, over crashes.
    pub(crate) fn finish(mut self) -> Finished {
        for _ in 0..MAX_DRIVES {
            if self.stored.status.is_terminal() {
                return Finished {
                    stored: self.stored,
                    calls: self.calls,
                    commits: self.commits,
                    crashed: self.crashed,
                };
            }
            // A crash drops everything that was not committed; the next drive starts from storage.
            if self.drive().is_ok() {
                self.somebody_acts();
            }
        }
        panic!("the run never ended: {:?}", self.stored);
    }

    fn load(&self) -> Tick {
        let stored = &self.stored;
        let run = RunState {
            head: RunHead {
                run_id: RUN.parse::<RunId>().expect("run id"),
                workflow_id: "w".into(),
                actor_id: Some("gateway".into()),
                session_id: Some("s".into()),
                parent_run_id: None,
                created_at: Timestamp::from_micros(0),
            },
            status: stored.status,
            current_node: stored.current_node.clone(),
            vars: serde_json::from_str::<Object>(&stored.vars).expect("vars"),
            waiting: stored
                .wait
                .as_deref()
                .map(|text| serde_json::from_str::<Wait>(text).expect("wait")),
            output: stored
                .output
                .as_deref()
                .map(|text| serde_json::from_str(text).expect("output")),
            error: stored.error.clone(),
            updated_at: self.now,
        };
        Tick::new(
            run,
            serde_json::from_str(&stored.aux).expect("aux"),
            0,
            self.ids.clone(),
        )
    }

    /// One drive from rest to rest with the commits of the real driver.
    fn drive(&mut self) -> Result<(), Crash> {
        let mut tick = self.load();
        let mut seen = self.stored.seen.clone();
        self.read_mail(&mut tick, &mut seen);
        tick.wake_if_due(self.now);
        loop {
            let answers = HostAnswers::default();
            let stepped = self
                .env(&answers, |env| tick.step(self.flow, env))
                .expect("no host questions");
            match stepped {
                Stepped::Moved => {}
                Stepped::Waiting | Stepped::Terminal => return self.commit(&mut tick, &seen),
                Stepped::Effect(request) => {
                    if is_outside(request.open.kind) {
                        tick.mark_called();
                        self.commit(&mut tick, &seen)?;
                        self.read_mail(&mut tick, &mut seen);
                        if tick.run.status != RunStatus::Running {
                            // The pause came before the call.
                            tick.mark_not_called();
                            continue;
                        }
                    } else if request.open.kind == EffectKind::VarsQuery && tick.has_writes() {
                        self.commit(&mut tick, &seen)?;
                    }
                    let outcome = self.perform(&tick, &request);
                    self.env(&answers, |env| tick.apply(outcome, vec![], env));
                    self.read_mail(&mut tick, &mut seen);
                }
            }
        }
    }

    fn env<T>(&self, host: &HostAnswers, then: impl FnOnce(&StepEnv<'_>) -> T) -> T {
        let clock = At(self.now);
        then(&StepEnv {
            now: self.now,
            zone: &self.zone,
            locale: "en_US",
            ids: &*self.ids,
            clock: &clock,
            host,
            tools: &NoTools,
        })
    }

    fn commit(&mut self, tick: &mut Tick, seen: &BTreeSet<usize>) -> Result<(), Crash> {
        let crash = self.crash.filter(|crash| crash.commit == self.commits);
        self.commits += 1;
        if crash.is_none_or(|crash| crash.applied) {
            let run = &tick.run;
            let text = |value: &Value| value.to_string();
            self.stored = Stored {
                status: run.status,
                current_node: run.current_node.clone(),
                vars: serde_json::to_string(&run.vars).expect("vars"),
                wait: run
                    .waiting
                    .as_ref()
                    .map(|wait| serde_json::to_string(wait).expect("wait")),
                output: run.output.as_ref().map(text),
                error: run.error.clone(),
                aux: serde_json::to_string(&tick.aux).expect("aux"),
                seen: seen.clone(),
                ledger: std::mem::take(&mut self.stored.ledger),
            };
            self.stored.ledger.extend(tick.take_writes().records);
        }
        match crash {
            Some(_) => {
                self.crashed = Some((self.stored.ledger.clone(), self.calls.len()));
                Err(Crash)
            }
            None => Ok(()),
        }
    }

    /// Pauses that are visible now; each is applied once.
    fn read_mail(&self, tick: &mut Tick, seen: &mut BTreeSet<usize>) {
        let step = steps_of(&tick.run.vars);
        for (number, pause) in self.pauses.iter().enumerate() {
            let called = self.calls.iter().any(|call| call.step >= pause.step);
            let visible = step >= pause.step && (!pause.during_call || called);
            if visible && seen.insert(number) {
                tick.pause(Some("mail"), self.now);
            }
        }
    }

    /// The outside answers by key and does not mind attempts.
    fn perform(&mut self, tick: &Tick, request: &EffectRequest) -> Outcome {
        let open = &request.open;
        let key = format!("{}/{}/{}", tick.run.head.run_id, open.node_id, open.visit);
        if is_outside(open.kind) {
            self.calls.push(Call {
                key: key.clone(),
                ledger_key: open.key.clone(),
                attempt: open.attempt,
                step: steps_of(&tick.run.vars),
            });
        }
        let weight = key
            .bytes()
            .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        if self.fails > 0 && weight.is_multiple_of(self.fails) {
            return Outcome::Failed(format!("refused {key}"));
        }
        if open.kind == EffectKind::ToolCalls && weight % 3 == 0 {
            let mut wait = Wait::new(WaitReason::User, Some(format!("tool_approval:{key}")));
            wait.resume_to_node = open.next_node.clone();
            wait.result_key = open.result_key.clone();
            return Outcome::Waiting(wait);
        }
        Outcome::Done {
            result: json!({"answer": key, "usage": {"total_tokens": weight}}),
            state: None,
        }
    }

    /// What the world does for a resting run: un-pauses it, lets time pass, answers.
    fn somebody_acts(&mut self) {
        let mut tick = self.load();
        if tick.run.is_paused() {
            tick.unpause(self.now);
        } else if let Some(wait) = tick.run.waiting.clone() {
            match wait.reason {
                WaitReason::Until => {
                    self.now = wait.until.expect("due time").max(self.now);
                    return;
                }
                _ => {
                    let visits: BTreeMap<String, u32> = tick.aux.visits.clone();
                    let visit = visits.get(&tick.run.current_node).copied().unwrap_or(0);
                    let payload = json!({"response": format!("{}#{visit}", tick.run.current_node)});
                    tick.resume(payload, None, self.now);
                }
            }
        }
        let seen = self.stored.seen.clone();
        // Acting is one commit as well; a crash before it only means that it is done again.
        if self.commit(&mut tick, &seen).is_err() {
            self.crash = None;
        }
    }
}

fn steps_of(vars: &Object) -> u64 {
    vars.get("steps").and_then(Value::as_u64).unwrap_or(0)
}

fn is_outside(kind: EffectKind) -> bool {
    matches!(kind, EffectKind::LlmCall | EffectKind::ToolCalls)
}
