//! A step for unit tests: fixed time, counting randomness, answers on demand.

use std::sync::atomic::{AtomicU64, Ordering};

use ag_kernel::{Exception, HostAnswers, HostCall, Interrupt, StepEnv, ToolCatalogue};
use ag_types::{Clock, EffectKind, IdGen, Object, RunHead, RunId, Timestamp};
use ag_visualflow::{
    document::{NodeConfig, Pin},
    node::{
        After, Behaviour, EvalCtx, FunctionError, FunctionResult, Inputs, NodeCtx, NodeType, OutputCtx,
        Planned,
    },
};
use serde_json::{Value, json};

/// Time of every step: 2026-11-20 11:32:02.790001 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_174_322_790_001);

/// Randomness that rises by a fixed stride, so that tests see the whole range of 64 bits.
#[derive(Default)]
struct Counter(AtomicU64);

impl IdGen for Counter {
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
    fn random(&self) -> u64 {
        self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Knows one tool, `known`.
struct OneTool;

impl ToolCatalogue for OneTool {
    fn spec(&self, name: &str) -> Option<Value> {
        (name == "known").then(|| json!({"name": "known", "description": "d", "parameters": {}}))
    }
    fn names(&self) -> Vec<String> {
        vec!["known".to_owned()]
    }
}

/// What the host answers to every question.
pub(crate) struct Answer(Option<Result<Value, Exception>>);

impl Answer {
    /// This value.
    pub(crate) fn ok(value: Value) -> Self {
        Self(Some(Ok(value)))
    }
    /// Nothing: a question is a failure of the test, unless the test wants the question.
    pub(crate) fn none() -> Self {
        Self(None)
    }
    /// An exception.
    pub(crate) fn raise(exception: Exception) -> Self {
        Self(Some(Err(exception)))
    }
}

/// Runs `step` until its questions are answered.
fn with_env<T>(
    answer: &Answer,
    mut step: impl FnMut(&StepEnv<'_>) -> T,
    question: impl Fn(&T) -> Option<HostCall>,
) -> T {
    let (zone, ids) = (jiff::tz::TimeZone::UTC, Counter::default());
    let mut answers = HostAnswers::default();
    loop {
        let env = StepEnv {
            now: NOW,
            zone: &zone,
            locale: "en_US",
            ids: &ids,
            clock: &Fixed,
            host: &answers,
            tools: &OneTool,
        };
        let outcome = step(&env);
        match (question(&outcome), &answer.0) {
            (Some(call), Some(answer)) => answers.push(call, answer.clone()),
            _ => return outcome,
        }
    }
}

fn host_call(interrupt: &Interrupt) -> Option<HostCall> {
    match interrupt {
        Interrupt::Host(call) => Some((**call).clone()),
        Interrupt::Raise(_) => None,
    }
}

/// A node from `{"kind", "data", "inputs": [ids], "outputs": [ids]}`; other keys go into `data`, `reads` names the
/// output pins that an edge reads. A pin id may carry its type (`value:number`).
pub(crate) fn config(value: &Value) -> NodeConfig {
    let fields = value.as_object().cloned().unwrap_or_default();
    let pins = |key: &str| -> Option<Vec<Pin>> {
        let ids = fields.get(key)?.as_array()?.iter().filter_map(Value::as_str);
        let pin = |id: &str| {
            let (id, kind) = id.split_once(':').unwrap_or((id, "any"));
            Pin {
                id: id.to_owned(),
                label: id.to_owned(),
                kind: kind.to_owned(),
            }
        };
        Some(ids.map(pin).collect())
    };
    let mut data = fields
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let own = ["kind", "data", "inputs", "outputs", "reads"];
    data.extend(
        fields
            .iter()
            .filter(|(key, _)| !own.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    NodeConfig {
        kind: fields
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        data,
        inputs: pins("inputs"),
        outputs: pins("outputs"),
    }
}

fn reads(value: &Value) -> impl Fn(&str) -> bool {
    let read: Vec<_> = value["reads"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    move |pin| read.iter().any(|read| read == pin)
}

/// Resolved inputs of a node.
pub(crate) fn inputs(config: &NodeConfig, values: Value) -> Inputs<'_> {
    let Value::Object(values) = values else {
        panic!("values must be an object")
    };
    Inputs {
        config,
        values,
        raw: None,
    }
}

fn object(vars: &mut Value) -> &mut Object {
    vars.as_object_mut().expect("vars must be an object")
}

/// Evaluates a pure node on variables.
pub(crate) fn eval_in(
    node: &NodeType,
    shape: Value,
    values: Value,
    vars: &Value,
    answer: Answer,
) -> Result<Value, String> {
    let config = config(&shape);
    let inputs = inputs(&config, values);
    let Behaviour::Pure(eval) = node.behaviour else {
        panic!("{} is not pure", node.spec.kind)
    };
    let vars = vars.as_object().expect("vars must be an object");
    let step = |env: &StepEnv<'_>| {
        eval(
            &inputs,
            &EvalCtx {
                node_id: "n",
                vars,
                env,
            },
        )
    };
    with_env(&answer, step, |outcome| {
        outcome.as_ref().err().and_then(host_call)
    })
    .map_err(text)
}

/// Evaluates a pure node.
pub(crate) fn eval(node: &NodeType, shape: Value, values: Value) -> Result<Value, String> {
    eval_in(node, shape, values, &json!({}), Answer::none())
}

fn text(interrupt: Interrupt) -> String {
    match interrupt {
        Interrupt::Raise(error) => error.to_string(),
        Interrupt::Host(call) => format!("asks {:?}", call.op),
    }
}

fn head() -> RunHead {
    RunHead {
        run_id: RunId(uuid::Uuid::nil()),
        workflow_id: "vec-x@1.0.0:main".into(),
        actor_id: None,
        session_id: None,
        parent_run_id: None,
        created_at: NOW,
    }
}

fn in_node<T>(
    shape: &Value,
    vars: &mut Value,
    answer: &Answer,
    mut step: impl FnMut(&mut NodeCtx<'_>) -> T,
    question: impl Fn(&T) -> Option<HostCall>,
) -> T {
    let (head, reads) = (head(), reads(shape));
    let next = shape["terminal"].is_null().then_some("next");
    with_env(
        answer,
        |env| {
            step(&mut NodeCtx {
                node_id: "n",
                head: &head,
                vars: object(vars),
                env,
                next,
                reads_output: &reads,
                flow_id: "vec-x@1.0.0:main",
            })
        },
        question,
    )
}

/// Runs a function node on variables.
pub(crate) fn function_in(
    node: &NodeType,
    shape: Value,
    values: Value,
    answer: Answer,
    vars: &mut Value,
) -> Result<FunctionResult, FunctionError> {
    let config = config(&shape);
    let inputs = inputs(&config, values);
    let Behaviour::Function(run) = node.behaviour else {
        panic!("{} is no function", node.spec.kind)
    };
    in_node(
        &shape,
        vars,
        &answer,
        |ctx| run(&inputs, ctx),
        |outcome| {
            outcome
                .as_ref()
                .err()
                .and_then(|error| host_call(&error.interrupt))
        },
    )
}

/// Runs a function node.
pub(crate) fn function_with(
    node: &NodeType,
    shape: Value,
    values: Value,
    answer: Answer,
) -> Result<FunctionResult, FunctionError> {
    function_in(node, shape, values, answer, &mut json!({}))
}

/// Arguments of the question that a function node asks.
pub(crate) fn asked(node: &NodeType, shape: Value, values: Value) -> Value {
    let error = function_with(node, shape, values, Answer::none()).expect_err("a question");
    host_call(&error.interrupt).expect("a question").args
}

/// The handle and result of a branch node.
pub(crate) fn branch(node: &NodeType, shape: Value, values: Value) -> (String, Value) {
    let config = config(&shape);
    let inputs = inputs(&config, values);
    let Behaviour::Branch(choose) = node.behaviour else {
        panic!("{} is no branch", node.spec.kind)
    };
    in_node(
        &shape,
        &mut json!({}),
        &Answer::none(),
        |ctx| choose(&inputs, ctx),
        |_| None,
    )
    .expect("a branch")
}

/// A planned effect with its payload as a value.
#[derive(Debug)]
pub(crate) struct PlannedEffect {
    pub(crate) kind: EffectKind,
    pub(crate) payload: Value,
    pub(crate) result_key: Option<String>,
    pub(crate) after: After,
    pub(crate) push_control: bool,
}

fn planned(node: &NodeType, shape: &Value, values: Value, vars: &mut Value) -> Result<Planned, String> {
    let config = config(shape);
    let inputs = inputs(&config, values);
    let Behaviour::Effect { plan, .. } = node.behaviour else {
        panic!("{} has no effect", node.spec.kind)
    };
    in_node(shape, vars, &Answer::none(), |ctx| plan(&inputs, ctx), |_| None).map_err(text)
}

/// Plans an effect node on variables.
pub(crate) fn plan_in(
    node: &NodeType,
    shape: Value,
    values: Value,
    vars: &mut Value,
) -> Result<PlannedEffect, String> {
    match planned(node, &shape, values, vars)? {
        Planned::Effect {
            kind,
            payload,
            result_key,
            after,
            push_control,
        } => Ok(PlannedEffect {
            kind,
            payload: Value::Object(payload),
            result_key,
            after,
            push_control,
        }),
        Planned::Result { raw, .. } => Err(format!("a result instead of an effect: {raw}")),
    }
}

/// Plans an effect node that has its result already.
pub(crate) fn planned_raw(
    node: &NodeType,
    shape: Value,
    values: Value,
    vars: &mut Value,
) -> Result<(Value, bool), String> {
    match planned(node, &shape, values, vars)? {
        Planned::Result { raw, set_last } => Ok((raw, set_last)),
        Planned::Effect { kind, .. } => Err(format!("an effect instead of a result: {}", kind.as_str())),
    }
}

/// The payload of an effect node.
pub(crate) fn planned_payload(node: &NodeType, shape: Value, values: Value) -> Value {
    plan_in(node, shape, values, &mut json!({}))
        .expect("an effect")
        .payload
}

/// Output pins of an effect node for a raw result.
pub(crate) fn mapped(node: &NodeType, shape: Value, vars: Value, raw: Value) -> Value {
    let config = config(&shape);
    let Behaviour::Effect { outputs, .. } = node.behaviour else {
        panic!("{} has no effect", node.spec.kind)
    };
    let vars = vars.as_object().cloned().unwrap_or_default();
    let reads = reads(&shape);
    Value::Object(outputs(
        &raw,
        &OutputCtx {
            node_id: "n",
            config: &config,
            vars: &vars,
            reads_output: &reads,
        },
    ))
}
