//! Function nodes (spec §3.2) and the end of a flow (§6.4).

use std::ops::ControlFlow;

use ag_kernel::{Exception, Interrupt, StepPlan};
use ag_types::Object;
use serde_json::Value;

use super::{Step, check_depth, completion, failure_output, outputs, resolve::Missing, state};
use crate::{
    node::{EvalCtx, FunctionFn, FunctionResult, Inputs, PureFn},
    program::Exit,
};

impl<'a> Step<'a> {
    pub(super) fn function(&mut self, run: FunctionFn) -> Result<StepPlan, Interrupt> {
        let inputs = match self.inputs(Missing::Vars)? {
            ControlFlow::Continue(inputs) => inputs,
            ControlFlow::Break(plan) => return Ok(plan),
        };
        match self.with_ctx(|ctx| run(&inputs, ctx)) {
            Ok(result) => Ok(self.accept(result)),
            Err(error) => match error.interrupt {
                Interrupt::Raise(exception) if !exception.is_unserialisable() => {
                    Ok(self.soft_failure(&exception, error.record))
                }
                escaping => Err(escaping),
            },
        }
    }

    /// A pure node saved with execution pins: its value is an ordinary result.
    pub(super) fn pure_function(&mut self, eval: PureFn) -> Result<StepPlan, Interrupt> {
        self.computed(|step, inputs| {
            eval(
                &inputs,
                &EvalCtx {
                    node_id: &step.node.id,
                    vars: step.vars,
                    env: step.env,
                },
            )
        })
    }

    pub(super) fn mux_function(&mut self) -> Result<StepPlan, Interrupt> {
        self.computed(|_, inputs| Ok(outputs::mux(inputs.values)))
    }

    /// Unknown types hand on what they get.
    pub(super) fn identity(&mut self) -> Result<StepPlan, Interrupt> {
        self.computed(|_, inputs| Ok(inputs.raw.unwrap_or(Value::Object(inputs.values))))
    }

    fn computed(
        &mut self,
        compute: impl FnOnce(&Self, Inputs<'a>) -> Result<Value, Interrupt>,
    ) -> Result<StepPlan, Interrupt> {
        let inputs = match self.inputs(Missing::Vars)? {
            ControlFlow::Continue(inputs) => inputs,
            ControlFlow::Break(plan) => return Ok(plan),
        };
        match compute(self, inputs) {
            Ok(value) => Ok(self.accept(FunctionResult::of(value))),
            Err(Interrupt::Raise(exception)) if !exception.is_unserialisable() => {
                Ok(self.soft_failure(&exception, None))
            }
            Err(escaping) => Err(escaping),
        }
    }

    /// Keeps a function's result and moves on.
    fn accept(&mut self, result: FunctionResult) -> StepPlan {
        if let Err(error) =
            check_depth(&result.value).and_then(|()| result.stored.as_ref().map_or(Ok(()), check_depth))
        {
            return self.soft_failure(&error, None);
        }
        let FunctionResult {
            value,
            stored,
            keep_last,
            terminal,
        } = result;
        let exit = self.chosen_exit(&value);
        let output = match exit {
            None => terminal.or_else(|| self.control_target().is_none().then(|| completion(value.clone()))),
            Some(_) => None,
        };
        self.keep(value, stored, keep_last);
        match exit {
            Some(exit) if keep_last => self.goto(exit),
            Some(exit) => self.follow(exit),
            None => self.settle(|_| output.unwrap_or(Value::Null)),
        }
    }

    /// The exec edge that a result leads to: the branch that it names where the exits are branches, else the only
    /// exit.
    fn chosen_exit(&self, result: &Value) -> Option<&'a Exit> {
        if self.node.branches {
            return self.node.exit(result.get("branch")?.as_str()?);
        }
        self.node.exits.first()
    }

    /// Writes a result to `node_outputs`, `_last_output` and the `outputKey`.
    pub(super) fn keep(&mut self, value: Value, stored: Option<Value>, keep_last: bool) {
        if let Some(key) = self.node.text("outputKey") {
            state::set_variable(self.vars, key, value.clone());
        }
        let id = self.id();
        match (stored, keep_last) {
            (Some(stored), true) => state::set_node_output(self.vars, id, stored),
            (None, true) => state::set_node_output(self.vars, id, value),
            (stored, false) => {
                state::set_node_output(self.vars, id, stored.unwrap_or_else(|| value.clone()));
                state::set_last_output(self.vars, value);
            }
        }
    }

    /// `on_flow_end` completes the run, whatever control block it stands in.
    pub(super) fn end(&mut self) -> Result<StepPlan, Interrupt> {
        let declared = self.node.config.inputs.as_deref().unwrap_or_default();
        let pins: Vec<&str> = declared.iter().map(|pin| pin.id.as_str()).collect();
        let resolved = match pins.as_slice() {
            [] => self.resolve(Missing::Vars),
            pins => self.resolve_only(Missing::Vars, pins),
        };
        let Inputs { mut values, raw, .. } = match resolved {
            Ok(inputs) => inputs,
            Err(Interrupt::Raise(Exception { message, .. })) => {
                state::set_flow_error(self.vars, self.id(), &message);
                return Ok(StepPlan::complete(failure_output(self.id(), &message, None)));
            }
            Err(host) => return Err(host),
        };
        let result = if pins.is_empty() {
            raw.unwrap_or(Value::Object(values))
        } else {
            let mut outputs = Object::with_capacity(pins.len());
            for pin in pins {
                if !outputs.contains_key(pin) {
                    outputs.insert(pin.to_owned(), values.swap_remove(pin).unwrap_or(Value::Null));
                }
            }
            Value::Object(outputs)
        };
        state::set_last_output(self.vars, result.clone());
        Ok(StepPlan::complete(completion(result)))
    }
}
