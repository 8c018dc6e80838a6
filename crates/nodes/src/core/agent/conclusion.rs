//! The end of an agent's work: outputs, scratchpad, and the turn in the conversation.

use super::{Settings, bucket_path, child, route, traces};
use crate::{core::llm_call::COMPACT, prelude::*, render::shorten};

/// Tool results added to the conversation, and code points of each.
const MAX_OBSERVATIONS: usize = 20;
const MAX_OBSERVATION: usize = 2000;

/// What a child run left.
struct Ended {
    sub_run_id: Value,
    output: Value,
    traces: Option<Value>,
    answer: String,
    iterations: i64,
}

/// Takes the child's result out of the bucket; it is large and not needed again.
fn take_result(ctx: &mut NodeCtx<'_>) -> Ended {
    let bucket = vars::object_at(ctx.vars, &bucket_path(ctx.node_id));
    let mut sub = bucket.shift_remove("sub").unwrap_or_default();
    let mut field = |key: &str| sub.get_mut(key).map(Value::take);
    let output = field("output").unwrap_or_default();
    let answer = answer(&output);
    let iterations = output.get("iterations").and_then(opt_int).unwrap_or(0);
    Ended {
        sub_run_id: field("sub_run_id").unwrap_or_default(),
        traces: field("node_traces"),
        output,
        answer,
        iterations,
    }
}

/// The answer of a child; other workflows than ours call it differently. A failed child has none.
fn answer(output: &Value) -> String {
    let found = ["answer", "response", "message", "result"]
        .iter()
        .find_map(|key| output.get(*key).filter(|value| !value.is_null()))
        .or(Some(output).filter(|output| output.is_string()));
    found.map(pystr).unwrap_or_default().into_owned()
}

/// The call that turns the answer into an object of the wanted schema. The child's result stays for the next visit.
pub(super) fn ask_for_structure(settings: &Settings<'_>, schema: Value, ctx: &mut NodeCtx<'_>) -> Planned {
    let path = bucket_path(ctx.node_id);
    let node_id = ctx.node_id;
    let bucket = vars::object_at(ctx.vars, &path);
    let answer = bucket
        .get("sub")
        .and_then(|sub| sub.get("output"))
        .map(answer)
        .unwrap_or_default();
    let field = |key: &str| bucket.get(key).cloned().unwrap_or_default();
    let (provider, model) = (field("provider"), field("model"));
    let request = format!(
        "Convert the Agent answer into a JSON object matching the required schema. Return JSON only.\n\n\
         Task:\n{}\n\nAnswer:\n{answer}",
        child::task(settings)
    );
    let mut params = Object::new();
    params.insert("temperature".to_owned(), settings.temperature().into());
    params.extend(settings.seed().map(|seed| ("seed".to_owned(), seed.into())));
    let payload = json!({
        "messages": [{"role": "user", "content": request}],
        "system_prompt": "",
        "provider": provider,
        "model": model,
        "tools": [],
        "params": params,
        "response_schema": schema,
        "response_schema_name": format!("Agent_{node_id}"),
    });
    bucket.insert("phase".to_owned(), "structured".into());
    Planned::Effect {
        kind: EffectKind::LlmCall,
        payload: payload.as_object().cloned().unwrap_or_default(),
        result_key: Some(format!("{path}.structured")),
        after: After::Itself,
        push_control: false,
    }
}

/// Conclusion with the answer as it is.
pub(super) fn plain(settings: &Settings<'_>, ctx: &mut NodeCtx<'_>) -> Planned {
    let ended = take_result(ctx);
    let response = ended.answer.clone();
    conclude(settings, ctx, ended, response, Value::Null, "unstructured")
}

/// Conclusion with the object of the structured pass.
pub(super) fn structured(settings: &Settings<'_>, ctx: &mut NodeCtx<'_>) -> Planned {
    let bucket = vars::object_at(ctx.vars, &bucket_path(ctx.node_id));
    let mut reply = bucket.shift_remove("structured").unwrap_or_default();
    let data = reply.get_mut("data").map(Value::take).unwrap_or_default();
    let ended = take_result(ctx);
    if data.is_null() {
        let response = ended.answer.clone();
        return conclude(settings, ctx, ended, response, data, "structured");
    }
    conclude(
        settings,
        ctx,
        ended,
        ag_pyvalue::dumps(&data, COMPACT),
        data,
        "structured",
    )
}

fn conclude(
    settings: &Settings<'_>,
    ctx: &mut NodeCtx<'_>,
    ended: Ended,
    response: String,
    data: Value,
    mode: &str,
) -> Planned {
    let digest = traces::digest(ended.traces.as_ref(), &ended.output);
    if settings.uses_context() {
        remember_turn(settings, ctx, &ended.sub_run_id, &digest.results, &response);
    }
    let bucket = vars::object_at(ctx.vars, &bucket_path(ctx.node_id));
    let known = |key: &str| bucket.get(key).cloned().unwrap_or_default();
    let meta = json!({
        "schema": "abstractcode.agent.v1.meta",
        "version": 1,
        "provider": known("provider"),
        "model": known("model"),
        "sub_run_id": ended.sub_run_id,
        "iterations": ended.iterations,
        "tool_calls": digest.calls.len(),
        "tool_results": digest.results.len(),
        "output_mode": mode,
    });
    bucket.shift_remove("resolved_inputs");
    for (key, value) in [
        ("phase", json!("done")),
        ("answer", json!(response)),
        ("success", json!(true)),
        ("output_mode", json!(mode)),
        ("iterations", json!(ended.iterations)),
        ("sub_run_id", ended.sub_run_id.clone()),
    ] {
        bucket.insert(key.to_owned(), value);
    }
    let (calls, results) = (Value::from(digest.calls), Value::from(digest.results));
    let mut pad = Object::new();
    pad.insert("sub_run_id".to_owned(), ended.sub_run_id);
    pad.insert("workflow_id".to_owned(), child::workflow_id(settings, ctx).into());
    pad.insert("task".to_owned(), child::task(settings).into());
    pad.insert(
        "messages".to_owned(),
        ended.output.get("messages").cloned().unwrap_or(json!([])),
    );
    pad.insert(
        "node_traces".to_owned(),
        ended.traces.filter(Value::is_object).unwrap_or(json!({})),
    );
    pad.insert("steps".to_owned(), digest.steps.into());
    let extras = child::extras(settings);
    if !extras.is_empty() {
        pad.insert("context_extra".to_owned(), extras.into());
    }
    pad.insert("tool_calls".to_owned(), calls.clone());
    pad.insert("tool_results".to_owned(), results.clone());
    // A failed child is no failure of the agent: its answer is empty.
    let raw = json!({
        "response": response,
        "data": data,
        "success": true,
        "meta": meta,
        "scratchpad": pad,
        "tool_calls": calls,
        "tool_results": results,
    });
    Planned::Result { raw, set_last: false }
}

/// Outputs of an agent that has no model to ask.
pub(super) fn unconfigured(settings: &Settings<'_>, ctx: &mut NodeCtx<'_>) -> Planned {
    ctx.vars.insert(
        "_flow_error".to_owned(),
        "Agent node missing provider/model configuration".into(),
    );
    ctx.vars.insert("_flow_error_node".to_owned(), ctx.node_id.into());
    let bucket = vars::object_at(ctx.vars, &bucket_path(ctx.node_id));
    bucket.shift_remove("resolved_inputs");
    bucket.insert("phase".to_owned(), "done".into());
    bucket.insert("success".to_owned(), false.into());
    let known = |what| route::chosen(settings, what).unwrap_or_else(|| "unknown".to_owned());
    let raw = json!({
        "response": "Agent configuration error: missing provider/model",
        "data": null,
        "success": false,
        "meta": {
            "schema": "abstractcode.agent.v1.meta",
            "version": 1,
            "provider": known("provider"),
            "model": known("model"),
            "iterations": 0,
            "tool_calls": 0,
            "tool_results": 0,
            "output_mode": "unstructured",
        },
        "scratchpad": {"task": child::task(settings), "messages": [], "node_traces": {}, "steps": [],
                       "tool_calls": [], "tool_results": []},
        "tool_calls": [],
        "tool_results": [],
    });
    Planned::Result { raw, set_last: true }
}

/// Adds task, tool results and answer to the conversation of the run.
fn remember_turn(
    settings: &Settings<'_>,
    ctx: &mut NodeCtx<'_>,
    sub_run: &Value,
    results: &[Value],
    answer: &str,
) {
    let (run, node_id) = (pystr(sub_run).into_owned(), ctx.node_id.to_owned());
    let message = |role: &str, content: String, part: String| {
        json!({
            "role": role,
            "content": content,
            "metadata": {
                "kind": "agent_turn",
                "node_id": node_id,
                "sub_run_id": sub_run,
                "message_id": format!("agent:{run}:{node_id}:{part}"),
            },
        })
    };
    let mut turn = vec![message("user", child::task(settings), "task".to_owned())];
    for (at, entry) in results.iter().take(MAX_OBSERVATIONS).enumerate() {
        turn.push(message("tool", observation(entry), format!("tool:{at}")));
    }
    turn.push(message("assistant", answer.to_owned(), "answer".to_owned()));
    turn.retain(|message| message["content"].as_str().is_some_and(|text| !text.is_empty()));
    let context = vars::object_at(ctx.vars, "context");
    let messages = context.entry("messages").or_insert_with(|| json!([]));
    match messages {
        Value::Array(messages) => messages.append(&mut turn),
        other => *other = turn.into(),
    }
}

fn observation(entry: &Value) -> String {
    let name = entry
        .get("name")
        .and_then(opt_str)
        .unwrap_or_else(|| "tool".to_owned());
    let field = |key: &str| entry.get(key).filter(|value| !value.is_null());
    let text = match entry.get("success") {
        Some(Value::Bool(false)) => format!("Error: {}", field("error").map(pystr).unwrap_or_default()),
        _ => {
            let output = field("output");
            let shown = output.and_then(|output| output.get("rendered")).or(output);
            shown.map(pystr).unwrap_or_default().into_owned()
        }
    };
    shorten(&format!("[{name}]: {text}"), MAX_OBSERVATION)
}
