//! Control nodes: sequence, parallel and the loops (spec §6.1).
//!
//! All state of a block is its frame in `vars`. Counters move before the body is entered, so that a wait inside the
//! body cannot repeat an item after a crash.

use ag_kernel::{Exception, Interrupt, StepPlan};
use ag_pyvalue::{to_float, truthy};
use ag_types::Object;
use serde_json::{Value, json};

use super::{Step, failure_output, frames, resolve::Missing, result_output, state};
use crate::node::Inputs;

/// Passes that `for` and `while` make at most.
const MAX_ITERATIONS: usize = 10_000;

impl<'a> Step<'a> {
    pub(super) fn sequence(&mut self, order: &[u32]) -> StepPlan {
        self.branches("sequence", order, None)
    }

    pub(super) fn parallel(&mut self, order: &[u32]) -> StepPlan {
        self.branches("parallel", order, Some("completed"))
    }

    /// Branches one after the other, then the continuation.
    fn branches(&mut self, kind: &str, order: &[u32], continuation: Option<&str>) -> StepPlan {
        let (id, node) = (self.id(), self.node);
        if self.resumes(kind) {
            self.resume();
        } else {
            let target = |exit: &crate::program::Exit| Value::from(&*self.program.node(exit.to).id);
            let then: Vec<_> = order.iter().map(|&at| target(&node.exits[at as usize])).collect();
            let mut frame = Object::new();
            frame.insert("kind".into(), kind.into());
            if let Some(continuation) = continuation {
                frame.insert("phase".into(), "branches".into());
                if let Some(exit) = node.exit(continuation) {
                    frame.insert("completed_target".into(), target(exit));
                }
            }
            frame.insert("idx".into(), 0.into());
            frame.insert("then".into(), then.into());
            self.enter(frame);
        }
        let frame = frames::frame_mut(self.vars, id);
        let at = frames::index(frame, "idx");
        match order.get(at) {
            Some(&exit) => {
                state::put(frame, "idx", (at + 1).into());
                self.follow(&node.exits[exit as usize])
            }
            None => self.leave(continuation),
        }
    }

    pub(super) fn for_each(&mut self) -> Result<StepPlan, Interrupt> {
        let (id, node) = (self.id(), self.node);
        if self.resumes("loop") {
            self.resume();
        } else {
            let items = match self
                .loop_inputs(&["items"], "Loop items resolution failed")?
                .values
                .swap_remove("items")
            {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => items,
                Some(scalar) => vec![scalar],
            };
            let mut frame = Object::new();
            frame.insert("kind".into(), "loop".into());
            frame.insert("idx".into(), 0.into());
            frame.insert("items".into(), items.into());
            self.enter(frame);
        }
        let Some(body) = node.exit("loop") else {
            return Ok(self.leave(Some("done")));
        };
        let frame = frames::frame_mut(self.vars, id);
        let at = frames::index(frame, "idx");
        let items = frame.get("items").and_then(Value::as_array);
        let total = items.map_or(0, Vec::len);
        let Some(item) = items.and_then(|items| items.get(at)).cloned() else {
            return Ok(self.leave(Some("done")));
        };
        state::put(frame, "idx", (at + 1).into());
        self.publish([("item", item), ("index", at.into()), ("total", total.into())]);
        Ok(self.follow(body))
    }

    pub(super) fn for_range(&mut self) -> Result<StepPlan, Interrupt> {
        let (id, node) = (self.id(), self.node);
        if self.resumes("for") {
            self.resume();
        } else {
            match range(&self.loop_inputs(&["start", "end", "step"], "For range resolution failed")?) {
                Ok(frame) => self.enter(frame),
                Err(message) => return Ok(self.end_loop(message)),
            }
        }
        let Some(body) = node.exit("loop") else {
            return Ok(self.leave(Some("done")));
        };
        let frame = frames::frame_mut(self.vars, id);
        let number = |key: &str| frame.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let (i, end, step) = (number("i"), number("end"), number("step"));
        let at = frames::index(frame, "index");
        let total = frame.get("total").cloned().unwrap_or(Value::Null);
        let within = if step > 0.0 { i < end } else { i > end };
        if !within {
            return Ok(self.leave(Some("done")));
        }
        if at >= MAX_ITERATIONS {
            return Ok(self.end_loop("For loop exceeded max_iterations=10000"));
        }
        state::put(frame, "i", (i + step).into());
        state::put(frame, "index", (at + 1).into());
        self.publish([("i", i.into()), ("index", at.into()), ("total", total)]);
        Ok(self.follow(body))
    }

    pub(super) fn while_true(&mut self) -> Result<StepPlan, Interrupt> {
        let (id, node) = (self.id(), self.node);
        let inputs = self.loop_inputs(&["condition"], "While condition resolution failed")?;
        let holds = inputs.get("condition").is_some_and(truthy);
        if self.resumes("while") {
            self.resume();
        } else {
            let mut frame = Object::new();
            frame.insert("kind".into(), "while".into());
            frame.insert("iters".into(), 0.into());
            self.enter(frame);
        }
        let Some(body) = node.exit("loop").filter(|_| holds) else {
            return Ok(self.leave(Some("done")));
        };
        let frame = frames::frame_mut(self.vars, id);
        let at = frames::index(frame, "iters");
        if at >= MAX_ITERATIONS {
            return Ok(self.end_loop("While loop exceeded max_iterations=10000"));
        }
        state::put(frame, "iters", (at + 1).into());
        let item = match state::last_output(self.vars) {
            Some(Value::Object(map)) => map
                .get("item")
                .cloned()
                .unwrap_or_else(|| Value::Object(map.clone())),
            Some(other) => other.clone(),
            None => Value::Object(Object::new()),
        };
        self.publish([("item", item), ("index", at.into())]);
        Ok(self.follow(body))
    }

    /// True if this visit continues the frame: the cursor came back from a branch, and there is a frame of this kind
    /// to continue.
    fn resumes(&self, kind: &str) -> bool {
        frames::is_return(self.vars, self.id()) && frames::frame(self.vars, self.id(), kind).is_some()
    }

    /// Goes on with the frame; consumes the mark of the return.
    fn resume(&mut self) {
        frames::clear_return(self.vars);
        frames::push(self.vars, self.id());
    }

    /// Starts a block, or restarts it where an explicit edge re-enters it.
    fn enter(&mut self, frame: Object) {
        if frames::is_return(self.vars, self.id()) {
            frames::clear_return(self.vars);
        }
        frames::set_frame(self.vars, self.id(), frame);
        frames::push(self.vars, self.id());
    }

    /// Ends a block: its continuation, else the enclosing block, else the end of the run.
    fn leave(&mut self, continuation: Option<&str>) -> StepPlan {
        frames::finish(self.vars, self.id());
        match continuation.and_then(|handle| self.node.exit(handle)) {
            Some(exit) => self.follow(exit),
            None => {
                self.settle(|vars| result_output(state::last_output(vars).cloned().unwrap_or(Value::Null)))
            }
        }
    }

    /// Ends the run, or the enclosing branch, with a loop's own error.
    fn end_loop(&mut self, message: &str) -> StepPlan {
        let id = self.id();
        state::set_flow_error(self.vars, id, message);
        let output = failure_output(id, message, None);
        self.settle(|_| output)
    }

    /// Inputs of a loop; an exception fails the run and is noted with what was being resolved.
    fn loop_inputs(&mut self, pins: &[&str], what: &str) -> Result<Inputs<'a>, Interrupt> {
        let resolved = self.resolve_only(Missing::Empty, pins);
        if let Err(Interrupt::Raise(Exception { message, .. })) = &resolved {
            state::set_flow_error(self.vars, self.id(), &format!("{what}: {message}"));
        }
        resolved
    }

    /// Publishes the variables of a pass: as outputs of the node, and on top of the ambient object.
    fn publish<const N: usize>(&mut self, pins: [(&str, Value); N]) {
        let outputs = pins
            .iter()
            .map(|(pin, value)| ((*pin).to_owned(), value.clone()))
            .collect::<Object>();
        state::set_node_output(self.vars, self.id(), Value::Object(outputs));
        match self.vars.get_mut("_last_output") {
            Some(Value::Object(_)) => {}
            Some(other) => *other = json!({"input": other.take()}),
            None => state::set_last_output(self.vars, Value::Object(Object::new())),
        }
        let ambient = state::section(self.vars, "_last_output");
        for (pin, value) in pins {
            state::put(ambient, pin, value);
        }
    }
}

/// The frame of a `for` loop, from its inputs.
fn range(inputs: &Inputs<'_>) -> Result<Object, &'static str> {
    let number = |pin: &str| {
        inputs
            .non_null(pin)
            .and_then(|value| to_float(value).ok())
            .filter(|n| n.is_finite())
    };
    let (Some(start), Some(end)) = (number("start"), number("end")) else {
        return Err("For loop requires numeric 'start' and 'end'.");
    };
    let step = number("step").unwrap_or(1.0);
    if step == 0.0 {
        return Err("For loop requires a non-zero 'step'.");
    }
    // Saturates far above the cap.
    let total = ((end - start) / step).ceil().max(0.0) as u64;
    let mut frame = Object::new();
    for (key, value) in [("start", start), ("end", end), ("step", step), ("i", start)] {
        frame.insert(key.into(), value.into());
    }
    frame.insert("kind".into(), "for".into());
    frame.insert("index".into(), 0.into());
    frame.insert("total".into(), total.into());
    Ok(frame)
}
