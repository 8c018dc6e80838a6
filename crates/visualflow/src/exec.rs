//! Planning one step of a run (spec §2-§6).
//!
//! A step may be planned several times while its host has questions to answer. Therefore inputs are resolved from
//! `vars` as they are, and everything that a step writes is written after its node's function has answered.

mod branch;
mod control;
mod draws;
mod effect;
mod evaluate;
mod frames;
mod function;
mod outputs;
mod resolve;
mod state;

use ag_kernel::{Exception, Interrupt, StepEnv, StepPlan};
use ag_types::{Object, RunHead, RunState};
use serde_json::Value;

use crate::{
    node::NodeCtx,
    program::{Action, Exit, Node, Program},
};
use draws::Draws;

/// Deepest value that a node may produce. State is stored as JSON text, and readers refuse more than 128 levels.
const MAX_VALUE_DEPTH: usize = 96;

/// Plans the step of the node that the run stands on.
pub(crate) fn plan(program: &Program, run: &mut RunState, env: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
    let RunState {
        head,
        current_node,
        vars,
        ..
    } = run;
    let unknown = || Exception::value(format!("Unknown node '{current_node}'"));
    let node = program
        .by_id
        .get(current_node.as_str())
        .map(|&ix| program.node(ix))
        .ok_or_else(unknown)?;
    let action = node.action.as_ref().ok_or_else(unknown)?;
    let draws = Draws::new(env.ids);
    let env = draws.watch(env);
    let mut step = Step {
        program,
        node,
        head,
        vars,
        env: &env,
        draws: &draws,
    };
    match action {
        Action::Function(run) => step.function(*run),
        Action::PureFunction(eval) => step.pure_function(*eval),
        Action::MuxFunction => step.mux_function(),
        Action::Identity => step.identity(),
        Action::End => step.end(),
        Action::Branch(choose) => step.branch(*choose),
        Action::Join(routes) => Ok(step.join(routes)),
        Action::Effect(plan) => step.effect(*plan),
        Action::Sequence(order) => Ok(step.sequence(order)),
        Action::Parallel(order) => Ok(step.parallel(order)),
        Action::Loop => step.for_each(),
        Action::For => step.for_range(),
        Action::While => step.while_true(),
    }
}

/// The step being planned.
struct Step<'a> {
    program: &'a Program,
    node: &'a Node,
    head: &'a RunHead,
    vars: &'a mut Object,
    env: &'a StepEnv<'a>,
    draws: &'a Draws<'a>,
}

impl<'a> Step<'a> {
    fn id(&self) -> &'a str {
        &self.node.id
    }

    /// Runs a node's function with the context that it may read and change.
    fn with_ctx<T>(&mut self, call: impl FnOnce(&mut NodeCtx<'_>) -> T) -> T {
        let node = self.node;
        let reads_output = |pin: &str| node.reads_output(pin);
        call(&mut NodeCtx {
            node_id: &node.id,
            head: self.head,
            vars: self.vars,
            env: self.env,
            next: node.exits.first().map(|exit| &*self.program.node(exit.to).id),
            reads_output: &reads_output,
            flow_id: &self.program.flow_id,
        })
    }

    /// A transition along an exec edge; remembers its handle for joins.
    fn follow(&mut self, exit: &Exit) -> StepPlan {
        state::set_prev_exec_handle(self.vars, &exit.handle);
        self.goto(exit)
    }

    /// A transition along an exec edge that leaves `prev_exec_handle` stale.
    fn goto(&self, exit: &Exit) -> StepPlan {
        StepPlan::goto(&*self.program.node(exit.to).id)
    }

    /// The return rule (spec §6.1): inside a control block the cursor goes back to its control node, else the run
    /// completes.
    fn settle(&mut self, output: impl FnOnce(&mut Object) -> Value) -> StepPlan {
        match self.return_to_control() {
            Some(back) => back,
            None => StepPlan::complete(output(self.vars)),
        }
    }

    /// The transition back to the active control node, unless there is none or this node is it.
    fn return_to_control(&mut self) -> Option<StepPlan> {
        let top = self.control_target()?;
        frames::set_return(self.vars, &top);
        Some(StepPlan::goto(top))
    }

    /// The control node that a branch ending here returns to.
    fn control_target(&self) -> Option<String> {
        let top = frames::top(self.vars).filter(|top| *top != self.id())?;
        self.program.by_id.contains_key(top).then(|| top.to_owned())
    }

    /// Records a soft error and ends the run, or the branch, with it (spec §3.2).
    fn soft_failure(&mut self, error: &Exception, record: Option<Object>) -> StepPlan {
        state::set_flow_error(self.vars, self.id(), &error.message);
        let output = failure_output(self.id(), &error.message, record);
        self.settle(|_| output)
    }
}

/// `{error, success: false, node}` on top of a node's own failure record.
fn failure_output(node: &str, message: &str, record: Option<Object>) -> Value {
    let mut output = record.unwrap_or_default();
    output.insert("error".into(), message.into());
    output.insert("success".into(), false.into());
    output.insert("node".into(), node.into());
    Value::Object(output)
}

/// The completion rule: an object gains `success: true` unless it says otherwise, other values are a `response`.
fn completion(result: Value) -> Value {
    let mut output = match result {
        Value::Object(map) => map,
        other => Object::from_iter([("response".to_owned(), other)]),
    };
    if !output.contains_key("success") {
        output.insert("success".into(), true.into());
    }
    Value::Object(output)
}

/// `{success: true, result}`, the output of a run that ends at a control or effect node.
fn result_output(result: Value) -> Value {
    Value::Object(Object::from_iter([
        ("success".to_owned(), true.into()),
        ("result".to_owned(), result),
    ]))
}

/// Refuses values that could not be stored.
fn check_depth(value: &Value) -> Result<(), Exception> {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Object(map) => levels > 0 && map.values().all(|item| fits(item, levels - 1)),
            _ => true,
        }
    }
    if fits(value, MAX_VALUE_DEPTH) {
        return Ok(());
    }
    Err(Exception::value(format!(
        "Value is nested too deeply (more than {MAX_VALUE_DEPTH} levels)"
    )))
}
