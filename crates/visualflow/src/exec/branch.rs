//! Branch nodes (spec §6.2) and joins (§6.3).

use std::ops::ControlFlow;

use ag_kernel::{Interrupt, StepPlan};
use ag_types::Object;
use serde_json::Value;

use super::{Step, check_depth, completion, resolve::Missing, state};
use crate::{node::BranchFn, program::Route};

impl Step<'_> {
    pub(super) fn branch(&mut self, choose: BranchFn) -> Result<StepPlan, Interrupt> {
        let inputs = match self.inputs(Missing::Vars)? {
            ControlFlow::Continue(inputs) => inputs,
            ControlFlow::Break(plan) => return Ok(plan),
        };
        let chosen = self.with_ctx(|ctx| choose(&inputs, ctx)).and_then(|chosen| {
            check_depth(&chosen.1)?;
            Ok(chosen)
        });
        let (handle, result) = match chosen {
            Ok(chosen) => chosen,
            Err(Interrupt::Raise(exception)) => return Ok(self.soft_failure(&exception, None)),
            Err(host) => return Err(host),
        };
        // Saved with a plain exit, the type is an ordinary function.
        let exit = if self.node.branches {
            self.node.exit(&handle)
        } else {
            self.node.exits.first()
        };
        let output = (exit.is_none() && self.control_target().is_none()).then(|| completion(result.clone()));
        self.keep(result, None, false);
        Ok(match exit {
            Some(exit) => self.follow(exit),
            None => self.settle(|_| output.unwrap_or(Value::Null)),
        })
    }

    /// Tells which way the cursor came. Never touches `_last_output`.
    pub(super) fn join(&mut self, routes: &[Route]) -> StepPlan {
        let (which, output, ambiguous) = {
            let temp = state::temp(self.vars);
            let text = |key: &str| temp.and_then(|temp| temp.get(key)).and_then(Value::as_str);
            let (from, handle) = (text("prev_node_id"), text("prev_exec_handle"));
            let by_node = |route: &Route| Some(&*route.from) == from;
            let exact = routes
                .iter()
                .position(|route| by_node(route) && Some(&*route.handle) == handle);
            // An effect leaves the handle stale, so the node alone decides then.
            let which = exact.or_else(|| routes.iter().position(by_node)).unwrap_or(0);
            let ambiguous = exact.is_none() && routes.iter().filter(|route| by_node(route)).count() > 1;
            let mut output = Object::new();
            output.insert("which".into(), which.into());
            output.insert("from".into(), from.into());
            if let Some(handle) = handle {
                output.insert("from_handle".into(), handle.into());
            }
            (
                which,
                Value::Object(output),
                ambiguous.then(|| from.unwrap_or_default().to_owned()),
            )
        };
        let id = self.id();
        if let Some(from) = ambiguous {
            state::warn(
                self.vars,
                format!(
                    "#FALLBACK join_exec '{id}': multiple incoming routes from '{from}' but prev_exec_handle was missing; defaulting which={which}."
                ),
            );
        }
        state::set_node_output(self.vars, id, output);
        match self.node.exits.first() {
            Some(exit) => self.follow(exit),
            None => self.settle(|_| super::completion(Value::Null)),
        }
    }
}
