//! Measures compiling and stepping with the real node types; prints one JSON line.
//!
//! `cargo run --release -p ag-visualflow --example flow_bench`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use ag_kernel::{HostAnswers, StepEnv, ToolCatalogue, Workflow};
use ag_nodes::Registry;
use ag_types::{RunHead, RunId, RunState, RunStatus, SystemClock, SystemIds, Timestamp};
use ag_visualflow::{Program, compile};
use serde_json::{Value, json};

struct NoTools;

impl ToolCatalogue for NoTools {
    fn spec(&self, _: &str) -> Option<Value> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

fn main() {
    let line = json!({
        "compile_100_us": micros(compile_time(100)),
        "compile_1000_us": micros(compile_time(1_000)),
        "loop_steps_per_s": loop_rate(),
        "chain_of_answers_step_us": answer_step(),
    });
    println!("{line}");
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn node(id: &str, kind: &str, inputs: &[&str], exec: bool, mut data: Value) -> Value {
    let mut pins: Vec<_> = inputs
        .iter()
        .map(|pin| json!({"id": pin, "label": pin, "type": "any"}))
        .collect();
    if exec {
        pins.insert(0, json!({"id": "exec-in", "label": "", "type": "execution"}));
    }
    data["inputs"] = pins.into();
    data["outputs"] = json!([{"id": "out", "label": "", "type": "any"}]);
    json!({"id": id, "type": kind, "position": {"x": 0, "y": 0}, "data": data})
}

fn edge(from: &str, to: &str) -> Value {
    let ((source, source_handle), (target, target_handle)) = (
        from.split_once('.').unwrap_or_default(),
        to.split_once('.').unwrap_or_default(),
    );
    json!({"source": source, "sourceHandle": source_handle, "target": target, "targetHandle": target_handle})
}

/// Triples of `set_var`, `get_var` and `add`, in a chain.
fn wide(count: usize) -> Value {
    let mut nodes = vec![node("start", "on_flow_start", &[], true, json!({}))];
    let mut edges = Vec::new();
    let mut before = "start".to_owned();
    for n in 0..count / 3 {
        let set = format!("s{n}");
        nodes.push(node(
            &set,
            "set_var",
            &["name", "value"],
            true,
            json!({"pinDefaults": {"name": "n"}}),
        ));
        nodes.push(node(
            &format!("g{n}"),
            "get_var",
            &["name"],
            false,
            json!({"pinDefaults": {"name": "n"}}),
        ));
        nodes.push(node(
            &format!("a{n}"),
            "add",
            &["a", "b"],
            false,
            json!({"pinDefaults": {"b": 1}}),
        ));
        edges.push(edge(&format!("{before}.exec-out"), &format!("{set}.exec-in")));
        edges.push(edge(&format!("g{n}.value"), &format!("a{n}.a")));
        edges.push(edge(&format!("a{n}.result"), &format!("{set}.value")));
        before = set;
    }
    json!({"id": "bench", "nodes": nodes, "edges": edges})
}

fn compile_time(count: usize) -> Duration {
    let document = wide(count);
    let rounds: u32 = 200;
    let begun = Instant::now();
    for _ in 0..rounds {
        black_box(program(&document));
    }
    begun.elapsed() / rounds
}

fn program(document: &Value) -> Program {
    compile(document, "bench", &Registry, None).expect("the flow compiles")
}

fn new_run(program: &Program) -> RunState {
    let zero = Timestamp::from_micros(0);
    RunState {
        head: RunHead {
            run_id: RunId(uuid::Uuid::nil()),
            workflow_id: Arc::from(program.flow_id()),
            actor_id: None,
            session_id: None,
            parent_run_id: None,
            created_at: zero,
        },
        status: RunStatus::Running,
        current_node: program.entry_node().to_owned(),
        vars: serde_json::Map::new(),
        waiting: None,
        output: None,
        error: None,
        updated_at: zero,
    }
}

/// Steps until the run completes; effects have their payload as result.
fn steps(program: &Program) -> u32 {
    let mut run = new_run(program);
    let (host, zone) = (HostAnswers::default(), jiff::tz::TimeZone::UTC);
    let now = Timestamp::from_micros(0);
    let (ids, clock) = (&SystemIds, &SystemClock);
    let env = StepEnv {
        now,
        zone: &zone,
        locale: "en_US",
        ids,
        clock,
        host: &host,
        tools: &NoTools,
    };
    let mut steps = 0;
    loop {
        steps += 1;
        let plan = program.plan(&mut run, &env).expect("no exceptions");
        if let Some(effect) = plan.effect {
            let key = effect.result_key.unwrap_or_default();
            ag_kernel::vars::set_path(&mut run.vars, &key, Value::Object(effect.payload));
        }
        match plan.next_node {
            Some(next) => run.current_node = next,
            None => return steps,
        }
    }
}

/// `for` 0..9000: n = n + 1.
fn loop_rate() -> f64 {
    let nodes = [
        node("start", "on_flow_start", &[], true, json!({})),
        node(
            "for",
            "for",
            &["start", "end"],
            true,
            json!({"pinDefaults": {"start": 0, "end": 9000}}),
        ),
        node(
            "set",
            "set_var",
            &["name", "value"],
            true,
            json!({"pinDefaults": {"name": "n"}}),
        ),
        node(
            "get",
            "get_var",
            &["name"],
            false,
            json!({"pinDefaults": {"name": "n"}}),
        ),
        node("add", "add", &["a", "b"], false, json!({})),
        node("end", "on_flow_end", &["n"], true, json!({})),
    ];
    let edges = [
        edge("start.exec-out", "for.exec-in"),
        edge("for.loop", "set.exec-in"),
        edge("for.done", "end.exec-in"),
        edge("for.i", "add.a"),
        edge("for.index", "add.b"),
        edge("add.result", "set.value"),
        edge("get.value", "end.n"),
    ];
    let program = program(&json!({"id": "bench", "nodes": nodes, "edges": edges}));
    let begun = Instant::now();
    let rounds = 20;
    let done: u32 = (0..rounds).map(|_| steps(&program)).sum();
    (f64::from(done) / begun.elapsed().as_secs_f64()).round()
}

/// Start, three `answer_user`, end: the flow of the throughput workload.
fn answer_step() -> f64 {
    let say = |id: &str| {
        node(
            id,
            "answer_user",
            &["message"],
            true,
            json!({"pinDefaults": {"message": "hello"}}),
        )
    };
    let nodes = [
        node("start", "on_flow_start", &[], true, json!({})),
        say("a"),
        say("b"),
        say("c"),
        node("end", "on_flow_end", &["m"], true, json!({})),
    ];
    let edges = [
        edge("start.exec-out", "a.exec-in"),
        edge("a.exec-out", "b.exec-in"),
        edge("b.exec-out", "c.exec-in"),
        edge("c.exec-out", "end.exec-in"),
        edge("c.message", "end.m"),
    ];
    let program = program(&json!({"id": "bench", "nodes": nodes, "edges": edges}));
    let rounds: u32 = 20_000;
    let begun = Instant::now();
    let done: u32 = (0..rounds).map(|_| steps(&program)).sum();
    (begun.elapsed().as_secs_f64() * 1e8 / f64::from(done)).round() / 100.0
}
