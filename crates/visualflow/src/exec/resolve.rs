//! Inputs of an executable node (spec §3.1).

use std::ops::ControlFlow;

use ag_kernel::{Interrupt, StepPlan};
use ag_types::Object;
use serde_json::Value;

use super::{Step, evaluate::Evaluator, outputs, state};
use crate::{
    node::{Inputs, OnInputError},
    program::{Action, DefaultRule, Source},
};

/// What stands for a missing `_last_output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The run variables (function and branch nodes), so that an entry node sees them.
    Vars,
    /// An empty object.
    Empty,
}

impl<'a> Step<'a> {
    /// Resolves the inputs, or ends the run the way this node type treats an exception (spec §3.4).
    pub(super) fn inputs(
        &mut self,
        missing: Missing,
    ) -> Result<ControlFlow<StepPlan, Inputs<'a>>, Interrupt> {
        let resolved = match self.node.config.kind.as_str() {
            // The start of a flow reads variables by itself; as entry it would get a copy of all of them.
            "on_flow_start" => self.resolve_only(missing, &[]),
            _ => self.resolve(missing),
        };
        match (resolved, self.node.on_input_error) {
            (Ok(inputs), _) => Ok(ControlFlow::Continue(inputs)),
            (Err(Interrupt::Raise(error)), OnInputError::Complete) => {
                Ok(ControlFlow::Break(self.soft_failure(&error, None)))
            }
            (Err(Interrupt::Raise(_)), OnInputError::Ignore) => {
                let mut values = Object::new();
                self.apply_defaults(&mut values);
                Ok(ControlFlow::Continue(Inputs {
                    config: &self.node.config,
                    values,
                    raw: None,
                }))
            }
            (Err(interrupt), _) => Err(interrupt),
        }
    }

    /// Resolves the inputs.
    pub(super) fn resolve(&mut self, missing: Missing) -> Result<Inputs<'a>, Interrupt> {
        self.resolve_with(missing, None)
    }

    /// The same for a node that reads no other pins than these, so that the ambient object need not be copied.
    pub(super) fn resolve_only(&mut self, missing: Missing, pins: &[&str]) -> Result<Inputs<'a>, Interrupt> {
        self.resolve_with(missing, Some(pins))
    }

    fn resolve_with(&mut self, missing: Missing, pins: Option<&[&str]>) -> Result<Inputs<'a>, Interrupt> {
        let undo = self.write_through();
        let resolved = self.resolve_pins(missing, pins);
        if let Err(Interrupt::Host(_)) = resolved {
            for (key, value) in undo.into_iter().rev() {
                match value {
                    Some(value) => state::put(self.vars, &key, value),
                    None => {
                        self.vars.shift_remove(&key);
                    }
                }
            }
        }
        resolved
    }

    fn resolve_pins(&self, missing: Missing, pins: Option<&[&str]>) -> Result<Inputs<'a>, Interrupt> {
        let (mut values, ambient) = self.ambient(missing, pins);
        let mut data = Evaluator::new(self.program, self.head, self.vars, self.env, self.draws);
        for wire in &self.node.wires {
            if let Some(value) = data.read(wire)? {
                state::put(&mut values, &wire.pin, value);
            }
        }
        self.apply_defaults(&mut values);
        let raw = if values.is_empty() { ambient.cloned() } else { None };
        Ok(Inputs {
            config: &self.node.config,
            values,
            raw,
        })
    }

    /// The ambient value as an object to resolve into, or apart when it is none.
    fn ambient(&self, missing: Missing, pins: Option<&[&str]>) -> (Object, Option<&Value>) {
        let copy = |map: &Object| match pins {
            None => map.clone(),
            Some(pins) => {
                let found = |pin: &&str| map.get(*pin).map(|value| ((*pin).to_owned(), value.clone()));
                pins.iter().filter_map(found).collect()
            }
        };
        let keyed = match self.node.action {
            // Only function nodes have an input key.
            Some(Action::Function(_) | Action::PureFunction(_) | Action::MuxFunction | Action::Identity) => {
                self.node.text("inputKey")
            }
            _ => None,
        };
        let base = match keyed {
            Some(key) => Some(ag_kernel::vars::get_path(self.vars, key).unwrap_or(&Value::Null)),
            None => state::last_output(self.vars),
        };
        match (base, missing) {
            (Some(Value::Object(map)), _) => (copy(map), None),
            (Some(other), _) => (Object::new(), Some(other)),
            (None, Missing::Vars) => (copy(self.vars), None),
            (None, Missing::Empty) => (Object::new(), None),
        }
    }

    /// Defaults of pins that are not connected: a declared pin's default replaces an ambient value, another only
    /// fills a gap.
    fn apply_defaults(&self, values: &mut Object) {
        let defaults = self.node.config.pin_defaults().into_iter().flatten();
        for ((pin, default), rule) in defaults.zip(&self.node.defaults) {
            let applies = match rule {
                DefaultRule::Never => false,
                DefaultRule::Override => true,
                DefaultRule::FillGap => !values.contains_key(pin),
            };
            if applies {
                state::put(values, pin, default.clone());
            }
        }
    }

    /// Writes the main output of effect nodes with an `outputKey` to their variable, as every input resolution does
    /// (spec §4.3). Returns the old values of the variables that it changed.
    fn write_through(&mut self) -> Vec<(String, Option<Value>)> {
        let mut undo = Vec::new();
        for &ix in &self.program.write_through {
            let node = self.program.node(ix);
            let (Source::Effect(map), Some(key)) = (node.source, node.text("outputKey")) else {
                continue;
            };
            let Some(mut pins) = outputs::mapped(node, map, self.vars) else {
                continue;
            };
            let main = node
                .main_output
                .and_then(|pin| pins.swap_remove(pin))
                .filter(|value| !value.is_null());
            let Some(main) = main else { continue };
            if ag_kernel::vars::get_path(self.vars, key) != Some(&main) {
                let root = key.split('.').next().unwrap_or(key);
                undo.push((root.to_owned(), self.vars.get(root).cloned()));
                state::set_variable(self.vars, key, main);
            }
        }
        undo
    }
}
