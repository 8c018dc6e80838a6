//! A run, an environment and a scripted workflow for unit tests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ag_types::{Clock, Effect, EffectKind, IdGen, Object, RunHead, RunId, RunState, RunStatus, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::{HostAnswers, Interrupt, RunAux, StepEnv, StepPlan, Stepped, Tick, ToolCatalogue, Workflow};

pub(crate) const RUN: &str = "8d6899dd-0000-4000-8000-000000000001";
/// Time of everything that happens in a test unless it says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_174_322_790_001);
pub(crate) const NOW_TEXT: &str = "2026-11-20T11:32:02.790001+00:00";

/// Ids that count up from 1.
#[derive(Default)]
pub(crate) struct SeqIds(AtomicU64);

impl IdGen for SeqIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.random()))
    }
    fn random(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

pub(crate) struct At(pub(crate) Timestamp);

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

/// What a step reads besides its run.
pub(crate) struct Kit {
    pub(crate) clock: At,
    ids: SeqIds,
    zone: jiff::tz::TimeZone,
    answers: HostAnswers,
}

impl Kit {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            clock: At(now),
            ids: SeqIds(AtomicU64::new(1_000)),
            zone: jiff::tz::TimeZone::UTC,
            answers: HostAnswers::default(),
        }
    }

    pub(crate) fn env(&self) -> StepEnv<'_> {
        StepEnv {
            now: self.clock.0,
            zone: &self.zone,
            locale: "en_US",
            ids: &self.ids,
            clock: &self.clock,
            host: &self.answers,
            tools: &NoTools,
        }
    }
}

pub(crate) fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

/// A running run at `node`.
pub(crate) fn run_at(node: &str, vars: Value) -> RunState {
    RunState {
        head: RunHead {
            run_id: RUN.parse::<RunId>().expect("run id"),
            workflow_id: "demo@0.1.0:root".into(),
            actor_id: Some("gateway".into()),
            session_id: Some("s".into()),
            parent_run_id: None,
            created_at: NOW,
        },
        status: RunStatus::Running,
        current_node: node.to_owned(),
        vars: object(vars),
        waiting: None,
        output: None,
        error: None,
        updated_at: NOW,
    }
}

pub(crate) fn tick_at(node: &str) -> Tick {
    Tick::new(
        run_at(node, Value::Null),
        RunAux::default(),
        0,
        Arc::new(SeqIds::default()),
    )
}

pub(crate) fn tick_offloading(node: &str, max_inline: usize) -> Tick {
    Tick::new(
        run_at(node, Value::Null),
        RunAux::default(),
        max_inline,
        Arc::new(SeqIds::default()),
    )
}

type Planner = Box<dyn Fn(&mut RunState) -> Result<StepPlan, Interrupt> + Send + Sync>;

/// Plans by node.
#[derive(Default)]
pub(crate) struct Scripted(HashMap<String, Planner>);

impl Scripted {
    pub(crate) fn node(
        mut self,
        id: &str,
        plan: impl Fn(&mut RunState) -> Result<StepPlan, Interrupt> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(id.to_owned(), Box::new(plan));
        self
    }

    /// A node with one effect whose result goes to `r`.
    pub(crate) fn effect(self, id: &str, kind: EffectKind, payload: Value, next: Option<&str>) -> Self {
        let next = next.map(str::to_owned);
        self.node(id, move |_| {
            let effect = Effect {
                kind,
                payload: object(payload.clone()),
                result_key: Some("r".into()),
            };
            Ok(StepPlan::effect(effect, next.clone()))
        })
    }

    pub(crate) fn end(self, id: &str) -> Self {
        self.node(id, |run| {
            Ok(StepPlan::complete(run.vars.get("r").cloned().unwrap_or_default()))
        })
    }
}

impl Workflow for Scripted {
    fn entry_node(&self) -> &str {
        "start"
    }
    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        self.0[&run.current_node](run)
    }
}

/// Steps until the tick rests or asks for an effect.
pub(crate) fn steps(tick: &mut Tick, flow: &dyn Workflow, kit: &Kit) -> Stepped {
    loop {
        match tick.step(flow, &kit.env()).expect("no host question") {
            Stepped::Moved => {}
            other => return other,
        }
    }
}

/// Records written since the last call, parsed.
pub(crate) fn records(tick: &mut Tick) -> Vec<Value> {
    let lines = tick.take_writes().records;
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("record"))
        .collect()
}

/// `node status type` of each record, as the examples of kernel spec §2.6 are written.
pub(crate) fn rows(records: &[Value]) -> Vec<String> {
    let row = |record: &Value| {
        let text = |pointer: &str| {
            record
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("null")
                .to_owned()
        };
        let kind = match text("/effect/payload/name").as_str() {
            "abstract.status" => format!("status={}", text("/effect/payload/payload/text")),
            _ => text("/effect/type"),
        };
        format!("{} {} {kind}", text("/node_id"), text("/status"))
    };
    records.iter().map(row).collect()
}
