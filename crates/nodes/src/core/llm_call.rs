//! `llm_call`: one call of a model.

use super::llm_shared::{context, memory::Memory, schema, settings::Settings};
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "llm_call",
        title: "LLM Call",
        family: "core",
        doc: "Calls a model, with tools, a response schema, the conversation and memory if wanted.",
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
            pin("tool_calls", "array"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let settings = Settings::new(&inputs.values, inputs.config, "effectConfig");
    let memory = Memory::of(&settings);
    let (prompt, system) = (settings.prompt(), settings.system());
    // One without the other is no route.
    let route = settings.text(&["provider"]).zip(settings.text(&["model"]));
    let (provider, model) = route.unzip();
    if let Some(planned) = memory.next(ctx, &prompt, &system, (provider.as_deref(), model.as_deref())) {
        return Ok(planned);
    }
    let routed = provider.is_some();
    let mut payload = payload(EffectKind::LlmCall);
    if settings.uses_context() {
        vars::ensure_sections(ctx.vars);
    }
    let (history, media) = history_and_media(&settings, &memory, ctx.vars, routed);
    match history {
        Some(history) => {
            let mut messages = context::compose(history, &system, &prompt);
            if let Some(text) = memory.graph_text(ctx, &messages) {
                context::insert_system(&mut messages, &text);
            }
            if let Some(budget) = settings.max_input_tokens() {
                context::trim(&mut messages, budget);
            }
            payload.insert("messages".to_owned(), messages.into());
        }
        None => {
            let graph = memory
                .graph_text(ctx, &[])
                .filter(|_| !system.contains("## KG ACTIVE MEMORY"));
            let system = [Some(system), graph]
                .into_iter()
                .flatten()
                .filter(|text| !text.is_empty());
            payload.insert("prompt".to_owned(), prompt.into());
            payload.insert(
                "system_prompt".to_owned(),
                system.collect::<Vec<_>>().join("\n\n").into(),
            );
        }
    }
    payload.insert("tools".to_owned(), tools(&settings, ctx).into());
    payload.insert("params".to_owned(), params(&settings, &memory).into());
    payload.insert("include_context".to_owned(), settings.uses_context().into());
    payload.extend(memory.payload());
    payload.extend(media.map(|media| ("media".to_owned(), media)));
    payload.extend(output_spec(&settings).map(|output| ("output".to_owned(), output)));
    if let Some(schema) = schema::normalised(settings.get(&["resp_schema", "response_schema"])) {
        payload.insert("response_schema".to_owned(), schema);
        payload.insert("response_schema_name".to_owned(), "LLM_StructuredOutput".into());
        let fallback = settings
            .configured("structured_output_fallback")
            .and_then(coerce_bool);
        payload.extend(fallback.map(|fallback| ("structured_output_fallback".to_owned(), fallback.into())));
    }
    payload.extend(provider.map(|provider| ("provider".to_owned(), provider.into())));
    payload.extend(model.map(|model| ("model".to_owned(), model.into())));
    let budget = settings.max_input_tokens().filter(|_| routed);
    payload.extend(budget.map(|budget| ("max_input_tokens".to_owned(), budget.into())));
    Ok(effect(EffectKind::LlmCall, payload))
}

/// Messages before the prompt, if the call is made of messages, and its attachments.
fn history_and_media(
    settings: &Settings<'_>,
    memory: &Memory<'_>,
    vars: &Object,
    routed: bool,
) -> (Option<Vec<Value>>, Option<Value>) {
    let mut media = settings.get(&["media"]).filter(|media| truthy(media)).cloned();
    let mut history = None;
    if settings.uses_context() {
        history = Some(context::active(vars));
        media = media.or_else(|| context::attachments(vars).cloned());
    } else if let Some(recalled) = memory.recalled(vars) {
        history = Some(recalled);
    }
    // Flows rely on a context input being ignored unless provider and model are both given.
    if let Some(given) = settings.pin("context").filter(|_| routed) {
        history = context::messages_of(Some(given)).or(history);
        media = given
            .get("attachments")
            .filter(|list| list.is_array())
            .cloned()
            .or(media);
    }
    (history, media)
}

/// Tool specifications: names are looked up, specifications taken as they are, unknown names left out.
fn tools(settings: &Settings<'_>, ctx: &NodeCtx<'_>) -> Vec<Value> {
    let entries = settings.get(&["tools"]).and_then(Value::as_array);
    let given = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("name").and_then(opt_str).is_some());
    let mut tools: Vec<Value> = Vec::new();
    for name in settings.tool_names() {
        let own = given
            .clone()
            .find(|entry| entry["name"] == name.as_str() && entry.get("parameters").is_some());
        tools.extend(own.cloned().or_else(|| ctx.env.tools.spec(&name)));
    }
    tools
}

fn params(settings: &Settings<'_>, memory: &Memory<'_>) -> Object {
    let mut params = Object::new();
    params.insert("temperature".to_owned(), settings.temperature().into());
    params.extend(settings.seed().map(|seed| ("seed".to_owned(), seed.into())));
    params.extend(
        settings
            .thinking()
            .map(|thinking| ("thinking".to_owned(), thinking)),
    );
    params.extend(
        settings
            .max_output_tokens()
            .map(|tokens| ("max_output_tokens".to_owned(), tokens.into())),
    );
    let binding = settings.get(&["prompt_cache_binding"]).cloned();
    params.extend(binding.map(|binding| ("prompt_cache_binding".to_owned(), binding)));
    let index = memory.session_attachments();
    params.extend(index.map(|index| ("include_session_attachments_index".to_owned(), index.into())));
    params
}

/// A request for generated media. Other values under these names are results of earlier nodes that reached the node
/// through the pipeline.
fn output_spec(settings: &Settings<'_>) -> Option<Value> {
    const MODALITIES: [&str; 6] = ["image", "video", "voice", "music", "sound", "text"];
    let is_spec = |value: &Value| match value {
        Value::String(name) => MODALITIES.contains(&name.trim()),
        other => other.get("modality").is_some() || other.get("task").is_some(),
    };
    let fits = |value: &&Value| match value {
        Value::Array(specs) => !specs.is_empty() && specs.iter().all(is_spec),
        other => is_spec(other),
    };
    ["output", "outputs"]
        .iter()
        .find_map(|name| settings.get(&[name]).filter(fits))
        .cloned()
}

fn outputs(raw: &Value, node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null());
    let data = field("data");
    let media = field("outputs").is_some_and(truthy);
    let response = match data {
        Some(data) => ag_pyvalue::dumps(data, COMPACT).into(),
        None if media && field("content").is_none() => "".into(),
        None => raw.get("content").cloned().unwrap_or_default(),
    };
    let calls = field("tool_calls")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut outputs = Object::new();
    outputs.insert("response".to_owned(), response);
    outputs.insert("data".to_owned(), data.cloned().unwrap_or_default());
    outputs.insert("tool_calls".to_owned(), calls.into());
    outputs.insert("success".to_owned(), true.into());
    if media {
        for key in ["outputs", "resources"] {
            outputs.extend(field(key).map(|value| (key.to_owned(), value.clone())));
        }
        let reference = crate::media::result::artifact(raw).map(|found| found.reference);
        let id = reference.as_ref().and_then(crate::artifact::id);
        outputs.insert("artifact_id".to_owned(), id.into());
        outputs.insert("artifact_ref".to_owned(), reference.unwrap_or_default());
    }
    let mode = match data {
        _ if media => "media",
        Some(_) => "structured",
        None => "unstructured",
    };
    outputs.insert("meta".to_owned(), meta(raw, mode, calls.len()));
    let legacy = [
        ("result", outputs.get("response").cloned()),
        ("raw", Some(raw.clone())),
        ("gen_time", raw.get("gen_time").cloned()),
        ("ttft_ms", raw.get("ttft_ms").cloned()),
    ];
    for (pin, value) in legacy {
        if (node.reads_output)(pin) {
            outputs.insert(pin.to_owned(), value.unwrap_or_default());
        }
    }
    outputs
}

fn meta(raw: &Value, mode: &str, calls: usize) -> Value {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null()).cloned();
    let mut meta = Object::new();
    meta.insert("schema".to_owned(), "abstractflow.llm_call.v1.meta".into());
    meta.insert("version".to_owned(), 1.into());
    meta.insert("output_mode".to_owned(), mode.into());
    meta.insert("tool_calls".to_owned(), calls.into());
    for key in ["provider", "model", "finish_reason", "usage"] {
        meta.extend(field(key).map(|value| (key.to_owned(), value)));
    }
    meta.extend(field("trace_id").map(|id| ("trace".to_owned(), one("trace_id", id))));
    for key in ["gen_time", "ttft_ms"] {
        meta.extend(field(key).map(|value| (key.to_owned(), value)));
    }
    Value::Object(meta)
}

/// JSON without blanks, as structured answers are shown.
pub(super) const COMPACT: ag_pyvalue::DumpOptions = ag_pyvalue::DumpOptions {
    separators: (",", ":"),
    ..ag_pyvalue::DumpOptions::UNICODE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{mapped, plan_in, planned_payload};

    #[test]
    fn a_plain_call() {
        let payload = planned_payload(&NODE, json!({}), json!({"prompt": "Say hi"}));
        let expected = json!({"type": "llm_call", "prompt": "Say hi", "system_prompt": "", "tools": [],
            "params": {"temperature": 0.7}, "include_context": false});
        assert_eq!(payload, expected);
    }

    #[test]
    fn parameters_route_and_tools() {
        let schema = json!({"type": "object", "properties": {"a": {}}});
        let values = json!({"prompt": 5, "system": "S", "temperature": 0.1, "seed": 42, "max_output_tokens": 64,
            "provider": "p", "model": "m", "tools": ["known", "unknown", {"name": "own", "parameters": {}}],
            "resp_schema": schema, "max_in_tokens": "60", "thinking": "high"});
        let payload = planned_payload(&NODE, json!({}), values);
        assert_eq!(payload["prompt"], "5");
        assert_eq!(
            payload["params"],
            json!({"temperature": 0.1, "seed": 42, "thinking": "high", "max_output_tokens": 64})
        );
        let names: Vec<_> = payload["tools"]
            .as_array()
            .expect("list")
            .iter()
            .map(|tool| tool["name"].clone())
            .collect();
        assert_eq!(names, ["known", "own"]);
        assert_eq!(payload["response_schema_name"], "LLM_StructuredOutput");
        assert_eq!(
            (&payload["provider"], &payload["max_input_tokens"]),
            (&json!("p"), &json!(60))
        );
        let half = planned_payload(
            &NODE,
            json!({}),
            json!({"prompt": "x", "provider": "p", "max_in_tokens": 60}),
        );
        assert_eq!((half.get("provider"), half.get("max_input_tokens")), (None, None));
    }

    #[test]
    fn the_conversation_becomes_messages() {
        let mut vars =
            json!({"context": {"messages": [{"role": "user", "content": "a"}], "attachments": ["f"]}});
        let values = json!({"prompt": "now?", "use_context": true});
        let payload = plan_in(&NODE, json!({}), values, &mut vars)
            .expect("plan")
            .payload;
        let messages = json!([{"role": "user", "content": "a"}, {"role": "user", "content": "now?"}]);
        assert_eq!(payload["messages"], messages);
        assert_eq!(payload["media"], json!(["f"]));
        assert_eq!(
            (payload.get("prompt"), payload.get("system_prompt")),
            (None, None)
        );
    }

    #[test]
    fn memory_comes_first_and_only_once() {
        let mut vars = json!({});
        let values = json!({"prompt": "who?", "use_kg_memory": true, "memory": {"memory_scope": "session"}});
        let first = plan_in(&NODE, json!({}), values.clone(), &mut vars).expect("plan");
        assert_eq!(first.kind, EffectKind::MemoryKgQuery);
        assert_eq!(
            first.payload,
            json!({"query_text": "who?", "scope": "session", "max_input_tokens": 1200})
        );
        let key = first.result_key.expect("key");
        assert_eq!(key, "_temp.memory_sources.n.kg_query");
        vars["_temp"]["memory_sources"]["n"]["kg_query"] =
            json!({"active_memory_text": "## KG ACTIVE MEMORY\nfact"});
        let call = plan_in(&NODE, json!({}), values, &mut vars).expect("plan");
        assert_eq!(call.kind, EffectKind::LlmCall);
        assert_eq!(call.payload["system_prompt"], "## KG ACTIVE MEMORY\nfact");
        let other = json!({"prompt": "what?", "use_kg_memory": true, "memory": {"memory_scope": "session"}});
        let again = plan_in(&NODE, json!({}), other, &mut vars).expect("plan");
        assert_eq!(again.kind, EffectKind::MemoryKgQuery, "other inputs ask anew");
    }

    #[test]
    fn spans_are_found_brought_back_and_used() {
        let mut vars = json!({});
        let values = json!({"prompt": "who?", "use_span_memory": true});
        let query = plan_in(&NODE, json!({}), values.clone(), &mut vars).expect("plan");
        assert_eq!(
            query.payload,
            json!({"query": "who?", "scope": "run", "return": "meta"})
        );
        vars["_temp"]["memory_sources"]["n"]["span_query"] =
            json!({"results": [{"meta": {"span_ids": ["s"]}}]});
        let back = plan_in(&NODE, json!({}), values.clone(), &mut vars).expect("plan");
        assert_eq!(
            back.payload,
            json!({"span_ids": ["s"], "placement": "after_summary", "max_messages": 80})
        );
        vars["_temp"]["memory_sources"]["n"]["span_rehydrate"] = json!({"inserted": 1});
        vars["context"] = json!({"messages": [
            {"role": "user", "content": "new"}, {"role": "user", "content": "old", "metadata": {"rehydrated": true}},
        ]});
        let call = plan_in(&NODE, json!({}), values, &mut vars).expect("plan");
        assert_eq!(call.kind, EffectKind::LlmCall);
        let messages = json!([{"role": "user", "content": "old"}, {"role": "user", "content": "who?"}]);
        assert_eq!(call.payload["messages"], messages);
    }

    #[test]
    fn results_become_pins() {
        let raw = json!({"content": "hi", "data": null, "tool_calls": null, "finish_reason": "stop", "model": "m",
            "trace_id": "t", "gen_time": 5});
        let outputs = mapped(&NODE, json!({"reads": ["raw"]}), json!({}), raw.clone());
        assert_eq!(outputs["response"], "hi");
        assert_eq!(outputs["tool_calls"], json!([]));
        assert_eq!((outputs.get("raw"), outputs.get("result")), (Some(&raw), None));
        let meta = json!({"schema": "abstractflow.llm_call.v1.meta", "version": 1, "output_mode": "unstructured",
            "tool_calls": 0, "model": "m", "finish_reason": "stop", "trace": {"trace_id": "t"}, "gen_time": 5});
        assert_eq!(outputs["meta"], meta);
        let outputs = mapped(
            &NODE,
            json!({}),
            json!({}),
            json!({"content": null, "data": {"n": "é", "a": 1}}),
        );
        assert_eq!(outputs["response"], r#"{"n":"é","a":1}"#);
        assert_eq!(outputs["meta"]["output_mode"], "structured");
    }
}
