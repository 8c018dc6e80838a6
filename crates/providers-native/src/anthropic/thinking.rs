//! Reasoning in Anthropic's dialect: a token budget, or an effort for the models that adapt themselves.

use ag_providers::{ChatRequest, ModelCapabilities, Object, Role, Thinking};
use serde_json::{Value, json};

/// The protocol refuses smaller budgets.
const SMALLEST_BUDGET: u64 = 1024;

/// What a request says about reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing, or that there shall be none.
    Quiet,
    /// The model reasons first: sampling parameters and forced tools are refused then.
    Reasons,
}

/// Adds the members that ask for the request's level. What cannot be had is left out with a warning.
pub(super) fn apply(
    caps: &ModelCapabilities,
    req: &ChatRequest,
    max_tokens: u64,
    body: &mut Object,
    warnings: &mut Vec<String>,
) -> Mode {
    let Some(level) = req.thinking else {
        return Mode::Quiet;
    };
    let mut ignore = |why: &str| {
        warnings.push(format!("thinking was ignored for {}: {why}", req.model));
        Mode::Quiet
    };
    if !caps.thinking {
        return ignore("the model does not support it");
    }
    if level == Thinking::Off {
        body.insert("thinking".to_owned(), json!({ "type": "disabled" }));
        return Mode::Quiet;
    }
    if req.response_schema.is_some() {
        return ignore("it cannot be combined with a schema");
    }
    if continues_without_reasoning(req) {
        // The protocol wants the reasoning of the interrupted turn back.
        return ignore("the turn began without it");
    }
    if caps.thinking_control_mode.as_deref() == Some("effort") {
        body.insert("thinking".to_owned(), json!({ "type": "adaptive" }));
        if let Some(effort) = effort(caps, level) {
            body.insert("output_config".to_owned(), json!({ "effort": effort }));
        }
        return Mode::Reasons;
    }
    let budget = budget(level).min(max_tokens.saturating_sub(1));
    if budget < SMALLEST_BUDGET {
        return ignore("the output budget is too small");
    }
    body.insert(
        "thinking".to_owned(),
        json!({ "type": "enabled", "budget_tokens": budget }),
    );
    Mode::Reasons
}

fn budget(level: Thinking) -> u64 {
    match level {
        Thinking::Off | Thinking::Minimal | Thinking::Low => 1024,
        Thinking::Auto | Thinking::Medium => 4096,
        Thinking::High => 8192,
        Thinking::XHigh => 16384,
    }
}

fn effort(caps: &ModelCapabilities, level: Thinking) -> Option<&'static str> {
    let has = |word: &str| caps.reasoning_levels.iter().any(|known| known == word);
    match level {
        Thinking::Off | Thinking::Auto => None,
        Thinking::Minimal | Thinking::Low => Some("low"),
        Thinking::Medium => Some("medium"),
        Thinking::XHigh if has("xhigh") => Some("xhigh"),
        Thinking::XHigh if has("max") => Some("max"),
        Thinking::High | Thinking::XHigh => Some("high"),
    }
}

/// Whether the last thing said is a tool's answer, and the turn that this belongs to did not begin with reasoning: it
/// was another model's, or reasoning was off then. A turn reaches back to what the user said last; calls later in it
/// need no reasoning of their own.
fn continues_without_reasoning(req: &ChatRequest) -> bool {
    let messages = req.messages.iter().filter(|message| message.role != Role::System);
    let turn = messages.rev().take_while(|message| message.role != Role::User);
    let turn: Vec<_> = turn.collect();
    let continues = turn.first().is_some_and(|last| last.role == Role::Tool);
    let first = turn.iter().rev().find(|message| message.role == Role::Assistant);
    continues && first.is_none_or(|first| first.thinking_blocks.is_empty())
}

/// Whether sampling parameters may be sent.
pub(super) fn allows_sampling(mode: Mode) -> bool {
    mode == Mode::Quiet
}

/// Whether a choice of tools may be forced.
pub(super) fn may_force(mode: Mode, choice: &Value) -> bool {
    mode == Mode::Quiet || choice["type"] == "auto" || choice["type"] == "none"
}
