//! The wrapper document of a schedule.

use serde_json::{Value, json};

use super::Plan;

/// The wrapper document. Node ids and types are part of the contract.
pub(super) fn wrapper(id: &str, target: &str, when: &Plan, share_context: bool) -> Value {
    let mut flow = Wrapper::default();
    // No data pins: such a start hands on every variable of the run (visualflow spec §6.4).
    flow.node(
        "start",
        "on_flow_start",
        &[],
        &[("exec-out", "execution")],
        json!({}),
    );
    let schedule = |text: &str| json!({"eventConfig": {"schedule": text, "recurrent": false}});
    let timer = ([("exec-in", "execution")], [("exec-out", "execution")]);
    flow.node(
        "wait_start",
        "on_schedule",
        &timer.0,
        &timer.1,
        schedule(&when.start),
    );
    if let Some(interval) = &when.interval {
        flow.node(
            "wait_interval",
            "on_schedule",
            &timer.0,
            &timer.1,
            schedule(interval),
        );
    }
    let mut inputs = vec![("exec-in", "execution"), ("vars", "object")];
    if !share_context {
        inputs.push(("child_session_id", "string"));
    }
    flow.node(
        "run_target",
        "subflow",
        &inputs,
        &[("exec-out", "execution"), ("output", "object")],
        json!({"subflowId": target}),
    );
    flow.edge("start", "vars", "run_target", "vars");
    let run = match share_context {
        true => "run_target",
        false => {
            flow.child_session(when);
            "set_child_sid"
        }
    };
    flow.wire(when, run);
    json!({
        "id": id, "name": "scheduled", "description": "", "interfaces": [], "entryNode": "start",
        "nodes": flow.nodes, "edges": flow.edges,
    })
}

#[derive(Default)]
struct Wrapper {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Wrapper {
    fn node(&mut self, id: &str, kind: &str, inputs: &[(&str, &str)], outputs: &[(&str, &str)], more: Value) {
        let pins = |pins: &[(&str, &str)]| -> Value {
            pins.iter()
                .map(|(id, kind)| json!({"id": id, "label": id, "type": kind}))
                .collect()
        };
        let mut data =
            json!({"nodeType": kind, "label": id, "inputs": pins(inputs), "outputs": pins(outputs)});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        let x = 240 * self.nodes.len();
        self.nodes
            .push(json!({"id": id, "type": kind, "position": {"x": x, "y": 0}, "data": data}));
    }

    fn edge(&mut self, source: &str, from: &str, target: &str, to: &str) {
        let id = format!("e{}", self.edges.len() + 1);
        self.edges.push(
            json!({"id": id, "source": source, "sourceHandle": from, "target": target, "targetHandle": to}),
        );
    }

    fn exec(&mut self, source: &str, from: &str, target: &str) {
        self.edge(source, from, target, "exec-in");
    }

    /// Exec edges by case; `run` is the node that leads to the target.
    fn wire(&mut self, when: &Plan, run: &str) {
        if run != "run_target" {
            self.exec(run, "exec-out", "run_target");
        }
        self.exec("wait_start", "exec-out", run);
        match (&when.interval, when.count) {
            (None, _) => {
                self.end();
                self.exec("start", "exec-out", "wait_start");
                self.exec("run_target", "exec-out", "end");
            }
            (Some(_), None) => {
                self.exec("start", "exec-out", "wait_start");
                self.exec("run_target", "exec-out", "wait_interval");
                self.exec("wait_interval", "exec-out", run);
            }
            (Some(_), Some(count)) => {
                self.end();
                let number = |id: &'static str| (id, "number");
                self.node(
                    "repeat",
                    "for",
                    &[
                        ("exec-in", "execution"),
                        number("start"),
                        number("end"),
                        number("step"),
                    ],
                    &[
                        ("loop", "execution"),
                        ("done", "execution"),
                        number("i"),
                        number("index"),
                    ],
                    json!({"pinDefaults": {"start": 0, "end": count, "step": 1}}),
                );
                self.node(
                    "is_first",
                    "compare",
                    &[("a", "any"), ("op", "string"), ("b", "any")],
                    &[("result", "boolean")],
                    json!({"pinDefaults": {"op": "==", "b": 0}}),
                );
                self.node(
                    "pick_wait",
                    "if",
                    &[("exec-in", "execution"), ("condition", "boolean")],
                    &[("true", "execution"), ("false", "execution")],
                    json!({}),
                );
                self.edge("repeat", "index", "is_first", "a");
                self.edge("is_first", "result", "pick_wait", "condition");
                self.exec("start", "exec-out", "repeat");
                self.exec("repeat", "loop", "pick_wait");
                self.exec("pick_wait", "true", "wait_start");
                self.exec("pick_wait", "false", "wait_interval");
                self.exec("wait_interval", "exec-out", run);
                self.exec("repeat", "done", "end");
            }
        }
    }

    fn end(&mut self) {
        self.node("end", "on_flow_end", &[("exec-in", "execution")], &[], json!({}));
    }

    /// `set_child_sid` gives each execution a session of its own: prefix, colon, and a suffix that differs.
    fn child_session(&mut self, when: &Plan) {
        let text = |id: &'static str| (id, "string");
        self.node(
            "prefix",
            "get_var",
            &[text("name")],
            &[("value", "any")],
            json!({"pinDefaults": {"name": "session_prefix"}}),
        );
        self.node(
            "prefix_colon",
            "concat",
            &[text("a"), text("b")],
            &[text("result")],
            json!({"pinDefaults": {"b": ":"}}),
        );
        self.node(
            "child_sid",
            "concat",
            &[text("a"), text("b")],
            &[text("result")],
            json!({}),
        );
        self.edge("prefix", "value", "prefix_colon", "a");
        self.edge("prefix_colon", "result", "child_sid", "a");
        match (&when.interval, when.count) {
            (Some(_), Some(_)) => {
                self.node(
                    "idx_str",
                    "stringify_json",
                    &[("value", "any")],
                    &[text("result")],
                    json!({}),
                );
                self.edge("repeat", "index", "idx_str", "value");
                self.edge("idx_str", "result", "child_sid", "b");
            }
            (Some(_), None) => {
                self.node("dt", "system_datetime", &[], &[text("iso")], json!({}));
                self.edge("dt", "iso", "child_sid", "b");
            }
            (None, _) => {
                self.node(
                    "idx_str",
                    "literal_string",
                    &[],
                    &[text("value")],
                    json!({"literalValue": "0"}),
                );
                self.edge("idx_str", "value", "child_sid", "b");
            }
        }
        self.node(
            "set_child_sid",
            "set_var",
            &[("exec-in", "execution"), text("name"), ("value", "any")],
            &[("exec-out", "execution"), ("value", "any")],
            json!({"pinDefaults": {"name": "child_session_id"}}),
        );
        self.node(
            "child_sid_var",
            "get_var",
            &[text("name")],
            &[("value", "any")],
            json!({"pinDefaults": {"name": "child_session_id"}}),
        );
        self.edge("child_sid", "result", "set_child_sid", "value");
        self.edge("child_sid_var", "value", "run_target", "child_session_id");
    }
}

/// Lets the wrapper's `wait_interval` node read its interval from the run (`_meta.schedule.interval`), so that an
/// edit of one schedule is an edit of its run and not of a shared document. The stored document keeps the contract's
/// shape; this happens when it is compiled.
pub fn wire_interval(flow: &mut Value) {
    let is_wrapper = flow
        .get("id")
        .and_then(Value::as_str)
        .is_some_and(|id| id.starts_with("scheduled:"));
    if !is_wrapper {
        return;
    }
    let Some(nodes) = flow.get_mut("nodes").and_then(Value::as_array_mut) else {
        return;
    };
    let Some(node) = nodes
        .iter_mut()
        .find(|node| node.get("id").and_then(Value::as_str) == Some("wait_interval"))
    else {
        return;
    };
    let pin = json!({"id": "schedule", "label": "schedule", "type": "string"});
    if let Some(inputs) = node.pointer_mut("/data/inputs").and_then(Value::as_array_mut) {
        let known = inputs
            .iter()
            .any(|pin| pin.get("id").and_then(Value::as_str) == Some("schedule"));
        if !known {
            inputs.push(pin);
        }
    }
    nodes.push(json!({
        "id": "__internal_interval__", "type": "get_var", "position": {"x": 0, "y": 0},
        "data": {
            "nodeType": "get_var", "label": "interval",
            "inputs": [{"id": "name", "label": "name", "type": "string"}],
            "outputs": [{"id": "value", "label": "value", "type": "any"}],
            "pinDefaults": {"name": "_meta.schedule.interval"},
        },
    }));
    if let Some(edges) = flow.get_mut("edges").and_then(Value::as_array_mut) {
        edges.push(json!({
            "id": "__internal_interval__", "source": "__internal_interval__", "sourceHandle": "value",
            "target": "wait_interval", "targetHandle": "schedule",
        }));
    }
}
