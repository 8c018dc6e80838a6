//! `agent`: a task given to a ReAct agent, which runs as a child.
//!
//! The node is visited several times. What it knows between visits lies under `_temp.agent.<node>`; `phase` says
//! what comes next: `init` (memory effects, then the child), `subworkflow` (the child has ended), `structured` (the
//! answer was converted to the wanted schema), `done` (the next visit starts afresh). Inputs are resolved once, at
//! the first visit, and kept in `resolved_inputs`, so that a visit after hours of waiting sees the same task.

mod child;
mod conclusion;
mod route;

use super::llm_shared::{memory, schema, settings::Settings, traces};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "agent",
        title: "Agent",
        family: "core",
        doc: "Gives a task to an agent that may use tools, and waits for its answer.",
        inputs: &[
            pin("use_context", "boolean"),
            pin("context", "object"),
            pin("memory", "memory"),
            pin("provider", "provider_text"),
            pin("model", "model"),
            pin("system", "string"),
            pin("prompt", "string"),
            pin("tools", "tools"),
            pin("prompt_cache_binding", "any"),
            pin("max_iterations", "number"),
            pin("max_in_tokens", "number"),
            pin("temperature", "number"),
            pin("seed", "number"),
            pin("thinking", "string"),
            pin("resp_schema", "json_schema"),
        ],
        outputs: &[
            pin("response", "string"),
            pin("data", "object"),
            pin("success", "boolean"),
            pin("meta", "object"),
            pin("scratchpad", "object"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

/// Section of the node's configuration.
const SECTION: &str = "agentConfig";

/// Where the node keeps what it knows between visits.
fn bucket_path(node_id: &str) -> String {
    format!("_temp.agent.{node_id}")
}

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let path = bucket_path(ctx.node_id);
    let bucket = vars::object_at(ctx.vars, &path);
    let phase = bucket
        .get("phase")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let values = match bucket.get("resolved_inputs") {
        Some(Value::Object(values)) if matches!(phase.as_str(), "init" | "subworkflow" | "structured") => {
            values.clone()
        }
        _ => {
            bucket.clear();
            bucket.insert("phase".to_owned(), "init".into());
            bucket.insert("resolved_inputs".to_owned(), Value::Object(inputs.values.clone()));
            memory::forget(ctx.vars, ctx.node_id);
            return Ok(begin(&Settings::new(&inputs.values, inputs.config, SECTION), ctx));
        }
    };
    let settings = Settings::new(&values, inputs.config, SECTION);
    Ok(match phase.as_str() {
        "subworkflow" => after_child(&settings, ctx),
        "structured" => conclusion::structured(&settings, ctx),
        _ => begin(&settings, ctx),
    })
}

/// Memory effects, then the child run.
fn begin(settings: &Settings<'_>, ctx: &mut NodeCtx<'_>) -> Planned {
    let Some(route) = route::resolve(settings, ctx.vars) else {
        return conclusion::unconfigured(settings, ctx);
    };
    let memory = memory::Memory::of(settings);
    let named = (Some(route.provider.as_str()), Some(route.model.as_str()));
    if let Some(planned) = memory.next(ctx, &child::task(settings), &settings.system(), named) {
        return planned;
    }
    let path = bucket_path(ctx.node_id);
    if settings.uses_context() {
        vars::ensure_sections(ctx.vars);
    }
    let workflow = child::workflow_id(settings, ctx);
    let payload = child::payload(settings, &memory, &route, &workflow, ctx);
    let bucket = vars::object_at(ctx.vars, &path);
    bucket.insert("phase".to_owned(), "subworkflow".into());
    bucket.insert("provider".to_owned(), route.provider.into());
    bucket.insert("model".to_owned(), route.model.into());
    Planned::Effect {
        kind: EffectKind::StartSubworkflow,
        payload,
        result_key: Some(format!("{path}.sub")),
        after: After::Itself,
        push_control: false,
    }
}

/// The child has ended: a structured pass if a schema is wanted, else the conclusion.
fn after_child(settings: &Settings<'_>, ctx: &mut NodeCtx<'_>) -> Planned {
    match schema::normalised(wanted_schema(settings)) {
        Some(schema) => conclusion::ask_for_structure(settings, schema, ctx),
        None => conclusion::plain(settings, ctx),
    }
}

/// The schema of the pin, else the enabled one of the configuration.
fn wanted_schema<'a>(settings: &Settings<'a>) -> Option<&'a Value> {
    let configured = || {
        let schema = settings.configured("outputSchema")?;
        schema
            .get("enabled")
            .is_some_and(truthy)
            .then(|| schema.get("jsonSchema"))?
    };
    settings.pin("resp_schema").or_else(configured)
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let mut outputs = passthrough(raw);
    if (node.reads_output)("result") {
        outputs.insert(
            "result".to_owned(),
            raw.get("response").cloned().unwrap_or_default(),
        );
    }
    outputs
}

#[cfg(test)]
mod tests;
