//! The child run of an agent: its workflow, and the variables it starts with.

use super::{Settings, memory::Memory, route::Route};
use crate::{
    core::llm_shared::{context, settings::DEFAULT_TEMPERATURE},
    prelude::*,
};

/// Cycles of an agent without a setting and without a limit of the run.
const DEFAULT_ITERATIONS: i64 = 50;

/// The task: the prompt, or a pin of the older name.
pub(super) fn task(settings: &Settings<'_>) -> String {
    settings
        .pin("prompt")
        .or_else(|| settings.pin("task"))
        .map(pystr)
        .unwrap_or_default()
        .into_owned()
}

/// Workflow of the agent: derived from flow and node, unless the compiler recorded one.
pub(super) fn workflow_id(settings: &Settings<'_>, ctx: &NodeCtx<'_>) -> String {
    let safe = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect()
    };
    let recorded = settings.configured("_react_workflow_id").and_then(opt_str);
    recorded.unwrap_or_else(|| format!("visual_react_agent_{}_{}", safe(ctx.flow_id), safe(ctx.node_id)))
}

/// Payload that starts the child. It names neither its type nor the node to resume to.
pub(super) fn payload(
    settings: &Settings<'_>,
    memory: &Memory<'_>,
    route: &Route,
    workflow: &str,
    ctx: &NodeCtx<'_>,
) -> Object {
    let mut payload = Object::new();
    payload.insert("workflow_id".to_owned(), workflow.into());
    payload.insert(
        "vars".to_owned(),
        Value::Object(child_vars(settings, memory, route, ctx)),
    );
    payload.insert("async".to_owned(), true.into());
    payload.insert("wait".to_owned(), true.into());
    payload.insert("include_traces".to_owned(), true.into());
    payload
}

fn child_vars(settings: &Settings<'_>, memory: &Memory<'_>, route: &Route, ctx: &NodeCtx<'_>) -> Object {
    let limits = ctx
        .vars
        .get("_limits")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let iterations = settings.integer(&["max_iterations"]).filter(|count| *count > 0);
    let of_run = || {
        limits
            .get("max_iterations")
            .and_then(opt_int)
            .filter(|count| *count > 0)
    };
    let iterations = iterations.or_else(of_run).unwrap_or(DEFAULT_ITERATIONS);
    let mut vars = Object::new();
    vars.insert(
        "context".to_owned(),
        Value::Object(child_context(settings, memory, ctx)),
    );
    vars.insert(
        "scratchpad".to_owned(),
        json!({"iteration": 0, "max_iterations": iterations}),
    );
    vars.insert(
        "_runtime".to_owned(),
        Value::Object(runtime(settings, memory, route)),
    );
    vars.insert("_temp".to_owned(), json!({}));
    vars.insert(
        "_limits".to_owned(),
        Value::Object(child_limits(settings, limits, iterations)),
    );
    vars
}

fn child_context(settings: &Settings<'_>, memory: &Memory<'_>, ctx: &NodeCtx<'_>) -> Object {
    let given = settings.pin("context").filter(|context| context.is_object());
    let mut messages = match context::messages_of(given) {
        Some(messages) => messages,
        None if settings.uses_context() => context::active(ctx.vars),
        None => memory.recalled(ctx.vars).unwrap_or_default(),
    };
    if let Some(text) = memory.graph_text(ctx, &messages) {
        context::insert_system(&mut messages, &text);
    }
    let mut context = Object::new();
    context.insert("task".to_owned(), task(settings).into());
    context.insert("messages".to_owned(), messages.into());
    context.extend(extras(settings));
    if settings.uses_context()
        && let Some(attachments) = context::attachments(ctx.vars)
    {
        context
            .entry("attachments")
            .or_insert_with(|| attachments.clone());
    }
    context
}

/// Fields of a `context` input besides task and messages.
pub(super) fn extras(settings: &Settings<'_>) -> Object {
    let given = settings
        .pin("context")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    given
        .filter(|(key, _)| !matches!(key.as_str(), "task" | "messages"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn runtime(settings: &Settings<'_>, memory: &Memory<'_>, route: &Route) -> Object {
    let mut runtime = Object::new();
    runtime.insert("inbox".to_owned(), json!([]));
    runtime.insert("provider".to_owned(), route.provider.clone().into());
    runtime.insert("model".to_owned(), route.model.clone().into());
    runtime.insert("allowed_tools".to_owned(), settings.tool_names().into());
    for key in ["audio_policy", "stt_language"] {
        runtime.extend(settings.text(&[key]).map(|text| (key.to_owned(), text.into())));
    }
    let temperature = Some(settings.temperature()).filter(|temperature| *temperature != DEFAULT_TEMPERATURE);
    runtime.extend(temperature.map(|temperature| ("temperature".to_owned(), temperature.into())));
    runtime.extend(settings.seed().map(|seed| ("seed".to_owned(), seed.into())));
    runtime.extend(
        settings
            .thinking()
            .map(|thinking| ("thinking".to_owned(), thinking)),
    );
    let index = memory.session_attachments();
    runtime.extend(index.map(|index| {
        (
            "control".to_owned(),
            json!({"include_session_attachments_index": index}),
        )
    }));
    let system = Some(settings.system()).filter(|system| !system.trim().is_empty());
    runtime.extend(system.map(|system| ("system_prompt_extra".to_owned(), system.into())));
    let binding = settings.get(&["prompt_cache_binding"]).cloned();
    runtime.extend(binding.map(|binding| ("prompt_cache_binding".to_owned(), binding)));
    runtime
}

/// The limits of the run with those of the node.
fn child_limits(settings: &Settings<'_>, mut limits: Object, iterations: i64) -> Object {
    limits.insert("max_iterations".to_owned(), iterations.into());
    let tokens = [
        ("max_input_tokens", settings.max_input_tokens()),
        ("max_output_tokens", settings.max_output_tokens()),
    ];
    limits.extend(
        tokens
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into()))),
    );
    limits
}
