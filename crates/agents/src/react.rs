//! The ReAct loop (effects-and-agents spec §10).
//!
//! ```text
//! init ─> reason ─> parse ─> act ─> observe ─> act (while calls are pending) or reason
//!           │         │       └─> handle_user_response ─> act or reason
//!           │         └─> done (answer), or reason again with a note (empty, cut off, announced, repeated)
//!           └─> max_iterations ─> (asks the model once more, then completes)
//! ```
//!
//! State, all in `vars`: `context{task, messages}`, `scratchpad{iteration, max_iterations, cycles, used_tools}`,
//! `_runtime{inbox, tool_specs, toolset_id, …}` and, between nodes only, `_temp{llm_response, pending_tool_calls,
//! tool_results, user_response, final_answer, max_iterations_llm_response}`. Each plan changes the variables exactly
//! once: the kernel keeps an effect whose record is written and does not plan its step again.

use ag_kernel::{Interrupt, StepEnv, StepPlan, Workflow};
use ag_types::RunState;

mod act;
mod builtin;
mod finish;
mod intent;
mod markup;
mod observe;
mod parse;
mod prompt;
mod reason;
mod reply;
mod report;
mod request;
mod state;
#[cfg(test)]
mod tests;

/// Node names, as they stand in ledgers.
pub mod nodes {
    /// Puts the task into the conversation.
    pub const INIT: &str = "init";
    /// Asks the model.
    pub const REASON: &str = "reason";
    /// Reads the model's reply.
    pub const PARSE: &str = "parse";
    /// Runs pending tool calls.
    pub const ACT: &str = "act";
    /// Takes tool results into the conversation.
    pub const OBSERVE: &str = "observe";
    /// Takes a user's answer into the conversation.
    pub const HANDLE_USER_RESPONSE: &str = "handle_user_response";
    /// Completes with the answer.
    pub const DONE: &str = "done";
    /// Asks for a closing answer when the limit is reached, and completes with it.
    pub const MAX_ITERATIONS: &str = "max_iterations";
}

/// The loop behind `agent` nodes. One value serves every run.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReactAgent;

impl Workflow for ReactAgent {
    fn entry_node(&self) -> &str {
        nodes::INIT
    }

    fn needs_workspace(&self) -> bool {
        true
    }

    fn plan(&self, run: &mut RunState, env: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        let vars = &mut run.vars;
        Ok(match run.current_node.as_str() {
            nodes::INIT => reason::init(vars, env),
            nodes::REASON => reason::reason(vars, env),
            nodes::PARSE => parse::parse(vars, env),
            nodes::ACT => act::act(vars, &run.head.workflow_id, env),
            nodes::OBSERVE => observe::observe(vars, env),
            nodes::HANDLE_USER_RESPONSE => observe::user_response(vars, env),
            nodes::DONE => finish::done(vars, env),
            nodes::MAX_ITERATIONS => finish::max_iterations(vars, env),
            other => {
                let text = format!("Unknown node '{other}' of the agent loop");
                return Err(ag_kernel::Exception::value(text).into());
            }
        })
    }
}
