//! System prompts of the loop. The titles are known to clients; the wording is ours.

use ag_pyvalue::opt_str;
use ag_types::Object;

use super::{
    report::{self, Excerpt},
    state,
};

const ROLE: &str = "## Role
You are an autonomous agent. You work on the user's task step by step until it is done, and you are judged by results.";

const LOOP_WITH_TOOLS: &str = "## Loop
- Think briefly about what is known and what is missing.
- To act, call tools. A reply with tool calls is executed and you see the results in the next iteration.
- A reply without tool calls is your final answer and ends the work. Give it only when the task is done or cannot be done.";

const LOOP_WITHOUT_TOOLS: &str = "## Loop
No tools are available. Your reply is the final answer and ends the work.";

const RULES_ALWAYS: &str = "
- Keep replies short and concrete. Do not write long plans and do not announce what you are about to do.
- Base statements on evidence: on what tools returned or the conversation contains. Say so when something is not known.";

const RULES_WITH_TOOLS: &str = "
- Choose the tools yourself; do not ask the user which tool to use or for permission to use one.
- Put independent reading calls into one reply, so that they run together.
- Call tools that change or send something one at a time, and look at the result before the next.
- If a part of the task needs much reading of which only the outcome matters, hand it to delegate_agent if you have it.
- Keep arguments small. Write large files in several steps: a first part, then further parts appended or edited in.
- Attached files are listed in the conversation. Open one with open_attachment or read_file if its content is not shown, and do not open again what is already shown.
- fetch_url may return a preview of a long page. Ask for more only if the preview lacks what you need.";

const LIMIT: &str = "## Max iterations reached
No further tool calls are possible. Write the final answer now from what the scratchpad and the conversation contain: \
what was found or done, what is missing, and what should happen next. Reply with plain text only.";

const LIMIT_AGAIN: &str =
    "Your last reply contained a tool call, which cannot be executed any more. Reply with text only.";

const SHORT: Excerpt = Excerpt {
    cycles: 6,
    thought: 600,
    observation: 220,
};
const LONG: Excerpt = Excerpt {
    cycles: 25,
    thought: 900,
    observation: 360,
};

/// The prompt of one iteration. Notes are shown even where `_runtime.system_prompt` replaces the loop's own text,
/// because each is shown once only.
pub(super) fn for_turn(vars: &Object, iteration: i64, max: i64, notes: &[String], has_tools: bool) -> String {
    let mut parts = Vec::new();
    let own = state::member(vars, "_runtime", "system_prompt").and_then(opt_str);
    let is_own = own.is_some();
    parts.push(own.unwrap_or_else(|| {
        let (contract, rules) = if has_tools {
            (LOOP_WITH_TOOLS, RULES_WITH_TOOLS)
        } else {
            (LOOP_WITHOUT_TOOLS, "")
        };
        format!("Iteration: {iteration}/{max}\n\n{ROLE}\n\n{contract}\n\n## Rules{RULES_ALWAYS}{rules}")
    }));
    if !notes.is_empty() {
        parts.push(format!("Guidance:\n{}", notes.join("\n")));
    }
    parts.extend(extra(vars));
    if !is_own {
        parts.extend(scratchpad(vars, SHORT));
    }
    parts.join("\n\n")
}

/// The prompt that asks for a closing answer.
pub(super) fn for_limit(vars: &Object, is_retry: bool) -> String {
    let own = state::member(vars, "_runtime", "system_prompt").and_then(opt_str);
    let mut parts = vec![own.unwrap_or_else(|| ROLE.to_owned())];
    parts.extend(extra(vars));
    parts.push(LIMIT.to_owned());
    if is_retry {
        parts.push(LIMIT_AGAIN.to_owned());
    }
    parts.extend(scratchpad(vars, LONG));
    parts.join("\n\n")
}

fn extra(vars: &Object) -> Option<String> {
    let extra = state::member(vars, "_runtime", "system_prompt_extra").and_then(opt_str)?;
    Some(format!("Additional system instructions:\n{extra}"))
}

fn scratchpad(vars: &Object, limits: Excerpt) -> Option<String> {
    let text = report::scratchpad(state::cycles(vars), limits);
    (!text.is_empty()).then(|| format!("## Scratchpad (ReAct cycles so far)\n{}", text.trim_end()))
}
