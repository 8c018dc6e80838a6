//! A driver in place of the kernel: enough of the tick loop to run flows in memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ag_kernel::{HostAnswers, HostCall, Interrupt, StepEnv, ToolCatalogue, Workflow, vars};
use ag_types::{Clock, Effect, IdGen, Object, RunHead, RunId, RunState, RunStatus, Timestamp};
use ag_visualflow::{Program, compile};
use serde_json::{Value, json};

use crate::catalogue::{Few, object};

pub(crate) fn program(document: &Value) -> Program {
    compile(document, "bundle@1:main", &Few, None).expect("the flow compiles")
}

/// How a run ended, and what it did on the way.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Output of a completed run.
    pub(crate) output: Option<Value>,
    /// `<Class>: <text>` of a failed run.
    pub(crate) error: Option<String>,
    /// Node and effect of every effect step.
    pub(crate) effects: Vec<(String, Effect, Option<String>)>,
    /// Variables at the end.
    pub(crate) vars: Object,
    /// Steps taken.
    pub(crate) steps: usize,
    /// Where the cursor stood.
    pub(crate) node: String,
}

impl Ended {
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.effects
            .iter()
            .filter_map(|(_, effect, _)| effect.payload.get("message")?.as_str())
            .collect()
    }
}

/// The same with the real node types.
pub(crate) fn real_program(document: &Value) -> Program {
    compile(document, "bundle@1:main", &ag_nodes::Registry, None).expect("the flow compiles")
}

/// Runs a flow of real node types to the end; effects answer with their payload.
pub(crate) fn run_real(document: &Value, input: Value) -> Ended {
    let echo = &mut |_: &str, effect: &Effect| Some(Value::Object(effect.payload.clone()));
    drive(&real_program(document), object(input), 200_000, echo)
}

/// Runs to the end with a host and effects that answer at once.
pub(crate) fn run(document: &Value, input: Value) -> Ended {
    drive(&program(document), object(input), 100_000, &mut |_, effect| {
        Some(Value::Object(effect.payload.clone()))
    })
}

/// Runs until it ends, has no answer, or `max_steps` are done. `answer` gives the result of an effect, or stops.
pub(crate) fn drive(
    program: &Program,
    input: Object,
    max_steps: usize,
    answer: &mut dyn FnMut(&str, &Effect) -> Option<Value>,
) -> Ended {
    let mut run = new_run(program, input);
    let mut ended = Ended::default();
    let services = Services::default();
    for _ in 0..max_steps {
        ended.steps += 1;
        ended.node.clone_from(&run.current_node);
        let plan = match step(program, &mut run, &services) {
            Ok(plan) => plan,
            Err(error) => {
                ended.error = Some(error);
                break;
            }
        };
        if plan.complete.is_some() {
            ended.output = plan.complete;
            break;
        }
        if let Some(effect) = plan.effect {
            let result = answer(&run.current_node, &effect);
            let key = effect.result_key.clone();
            ended
                .effects
                .push((run.current_node.clone(), effect, plan.next_node.clone()));
            let Some(result) = result else { break };
            if let Some(key) = key.filter(|_| !result.is_null()) {
                vars::set_path(&mut run.vars, &key, result.clone());
            }
            if plan.next_node.is_none() {
                ended.output = Some(json!({"success": true, "result": result}));
                break;
            }
        }
        let next = plan.next_node.expect("a plan leads somewhere");
        let node = std::mem::replace(&mut run.current_node, next.clone());
        let temp = vars::object_at(&mut run.vars, "_temp");
        temp.insert("prev_node_id".into(), node.into());
        temp.insert("prev_next_node".into(), next.into());
    }
    ended.vars = run.vars;
    ended
}

fn new_run(program: &Program, vars: Object) -> RunState {
    RunState {
        head: RunHead {
            run_id: RunId(uuid::Uuid::nil()),
            workflow_id: Arc::from(program.flow_id()),
            actor_id: None,
            session_id: None,
            parent_run_id: None,
            created_at: Timestamp::from_micros(0),
        },
        status: RunStatus::Running,
        current_node: program.entry_node().to_owned(),
        vars,
        waiting: None,
        output: None,
        error: None,
        updated_at: Timestamp::from_micros(0),
    }
}

/// One step; the host answers each question with its arguments. A step that asks must not have changed anything.
fn step(program: &Program, run: &mut RunState, services: &Services) -> Result<ag_kernel::StepPlan, String> {
    let mut host = HostAnswers::default();
    let asks = ["asks", "ask_host"].iter().any(|kind| program.uses(kind));
    loop {
        let before = asks.then(|| run.vars.clone());
        let env = services.env(&host);
        match program.plan(run, &env) {
            Ok(plan) => return Ok(plan),
            Err(Interrupt::Raise(exception)) => return Err(exception.to_string()),
            Err(Interrupt::Host(call)) => {
                let before = before.expect("a node type that asks is listed");
                assert_eq!(run.vars, before, "asked the host after changing variables");
                let call: HostCall = *call;
                let answer = json!({"asked": call.args});
                host.push(call, Ok(answer));
            }
        }
    }
}

struct Services {
    zone: jiff::tz::TimeZone,
    counter: AtomicU64,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            zone: jiff::tz::TimeZone::UTC,
            counter: AtomicU64::new(0),
        }
    }
}

impl Services {
    fn env<'a>(&'a self, host: &'a HostAnswers) -> StepEnv<'a> {
        let now = Timestamp::from_micros(0);
        StepEnv {
            now,
            zone: &self.zone,
            locale: "en_US",
            ids: self,
            clock: self,
            host,
            tools: self,
        }
    }
}

impl IdGen for Services {
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(0, self.random())
    }
    fn random(&self) -> u64 {
        // A rising stride over all 64 bits.
        self.counter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }
}

impl Clock for Services {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

impl ToolCatalogue for Services {
    fn spec(&self, _: &str) -> Option<Value> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
