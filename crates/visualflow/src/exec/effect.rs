//! Effect nodes (spec §3.3).

use std::ops::ControlFlow;

use ag_kernel::{Interrupt, StepPlan};
use ag_types::{Effect, EffectKind, Object};
use serde_json::Value;

use super::{Step, frames, resolve::Missing, result_output, state};
use crate::node::{After, PlanFn, Planned};

impl Step<'_> {
    pub(super) fn effect(&mut self, plan: PlanFn) -> Result<StepPlan, Interrupt> {
        let inputs = match self.inputs(Missing::Empty)? {
            ControlFlow::Continue(inputs) => inputs,
            ControlFlow::Break(plan) => return Ok(plan),
        };
        match self.with_ctx(|ctx| plan(&inputs, ctx))? {
            Planned::Result { raw, set_last } => Ok(self.result(raw, set_last)),
            Planned::Effect {
                kind,
                payload,
                result_key,
                after,
                push_control,
            } => {
                let result_key = result_key.unwrap_or_else(|| state::effect_path(self.id()));
                Ok(self.request(kind, payload, result_key, after, push_control))
            }
        }
    }

    /// A node that has its result without (another) effect.
    fn result(&mut self, raw: Value, set_last: bool) -> StepPlan {
        let exit = self.node.exits.first();
        let output = (exit.is_none() && self.control_target().is_none()).then(|| result_output(raw.clone()));
        if set_last {
            state::set_last_output(self.vars, raw.clone());
        }
        ag_kernel::vars::set_path(self.vars, &state::effect_path(self.id()), raw);
        match exit {
            Some(exit) => self.goto(exit),
            None => self.settle(|_| output.unwrap_or(Value::Null)),
        }
    }

    fn request(
        &mut self,
        kind: EffectKind,
        mut payload: Object,
        result_key: String,
        after: After,
        push_control: bool,
    ) -> StepPlan {
        let id = self.id();
        let successor = self
            .node
            .exits
            .first()
            .map(|exit| &*self.program.node(exit.to).id);
        let loops_here = after == After::Itself || push_control && successor.is_none();
        let next = if loops_here { Some(id) } else { successor };
        // Only nodes of the common form carry their type and successor in the payload; `on_event` names its own.
        if payload.contains_key("type") || push_control && kind == EffectKind::WaitEvent {
            payload.entry("resume_to_node").or_insert_with(|| next.into());
        }
        if push_control {
            self.open_block();
        }
        let next = match next {
            Some(next) => Some(next.to_owned()),
            None => self.return_to_control().and_then(|back| back.next_node),
        };
        StepPlan::effect(
            Effect {
                kind,
                payload,
                result_key: Some(result_key),
            },
            next,
        )
    }

    /// Makes this effect node the active control node: its branch comes back to it.
    fn open_block(&mut self) {
        let id = self.id();
        if frames::is_return(self.vars, id) {
            frames::clear_return(self.vars);
        }
        let kind = &self.node.config.kind;
        if frames::frame(self.vars, id, kind).is_none() {
            let frame = Object::from_iter([("kind".to_owned(), kind.as_str().into())]);
            frames::set_frame(self.vars, id, frame);
        }
        frames::push(self.vars, id);
    }
}
