//! One test per rule, against a scripted model.

mod answers;
mod attachments;

use ag_kernel::Outcome;
use ag_providers::fake::Step;
use ag_providers::{
    ChatReply, ChatRequest, ContentPart, MediaSource, MessageContent, ProviderError, Role, Thinking, ToolCall,
};
use ag_types::EffectKind;
use serde_json::json;

use super::*;
use crate::test_kit::{World, request};

const BLOCK: &str = "<runtime_metadata>{\"display\":\"[2026-01-02 03:04:05]\",\"local_datetime\":\"2026-01-02T03:04:05+00:00\"}</runtime_metadata>\n";

async fn answer(world: &World, payload: Value) -> Answer {
    let handler = LlmCall::new(world.resolver(), LlmCallSettings::default());
    handler
        .handle(&world.ctx(), &request(EffectKind::LlmCall, payload))
        .await
}

async fn done(world: &World, payload: Value) -> Value {
    match answer(world, payload).await.outcome {
        Outcome::Done { result, .. } => result,
        other => panic!("not done: {other:?}"),
    }
}

async fn failed(world: &World, payload: Value) -> String {
    match answer(world, payload).await.outcome {
        Outcome::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

fn asked(world: &World) -> Vec<ChatRequest> {
    world.directory.chat.requests()
}

fn roles(request: &ChatRequest) -> Vec<&'static str> {
    request
        .messages
        .iter()
        .map(|message| message.role.as_str())
        .collect()
}

fn texts(request: &ChatRequest) -> Vec<String> {
    request
        .messages
        .iter()
        .map(|message| message.content.text())
        .collect()
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
}

#[tokio::test]
async fn a_plain_call_has_the_recorded_result() {
    let world = World::new(vec![Step::text("hi there")]);
    let payload = json!({"prompt": format!("{BLOCK}Say hi"), "system_prompt": "", "tools": [], "params": {"temperature": 0.7}, "include_context": false});
    let result = done(&world, payload).await;
    let keys: Vec<&str> = result
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "content",
        "reasoning",
        "data",
        "raw_response",
        "tool_calls",
        "usage",
        "model",
        "finish_reason",
        "metadata",
        "trace_id",
        "gen_time",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (&result["content"], &result["model"], &result["finish_reason"]),
        (&json!("hi there"), &json!("gpt-4o-mini"), &json!("stop"))
    );
    assert_eq!(
        (&result["data"], &result["reasoning"], &result["tool_calls"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let usage = json!({"input_tokens": 11, "output_tokens": 7, "total_tokens": 18, "prompt_tokens": 11, "completion_tokens": 7});
    assert_eq!(result["usage"], usage);
    assert!(result["trace_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(
        result["metadata"]["runtime_grounding"]["display"],
        "[2026-01-02 03:04:05]"
    );

    let sent = &asked(&world)[0];
    assert_eq!(roles(sent), ["system", "user"]);
    assert_eq!(texts(sent)[1], format!("{BLOCK}Say hi"));
    assert_eq!(sent.idempotency_key.as_deref(), Some("run/llm/1"));
    assert_eq!(sent.params.max_output_tokens, Some(16_000));
}

#[tokio::test]
async fn calls_without_input_fail_with_the_contract_texts() {
    let world = World::new(vec![]);
    let plain = "llm_call requires payload.prompt or payload.messages";
    let media =
        "llm_call requires payload.prompt, payload.messages, payload.text, or media with payload.output";
    let cases = [
        (json!({}), plain),
        (json!({"prompt": "", "system_prompt": "s", "messages": []}), plain),
        (json!({"prompt": format!("{BLOCK}  ")}), plain),
        (json!({"media": ["a.png"]}), media),
        (json!({"output": {"modality": "image"}}), media),
    ];
    for (payload, expected) in cases {
        assert_eq!(failed(&world, payload).await, expected);
    }
    let error = failed(&world, json!({"prompt": "x", "output": {"modality": "video"}})).await;
    assert_eq!(error, "Backend does not support task 'text_to_video'.");
    assert!(asked(&world).is_empty());
    assert_eq!(
        done(&world, json!({"prompt": "", "text": "t"})).await["content"],
        "echo: t"
    );
}

#[tokio::test]
async fn parameters_reach_the_model() {
    let world = World::new(vec![]).var("_runtime.thinking", json!("low"));
    let params = json!({"temperature": 0.1, "top_p": 0.5, "top_k": 3, "seed": 42, "max_output_tokens": 64, "stop": "END",
        "frequency_penalty": 1, "presence_penalty": "0.5", "timeout_s": 9, "extra_body": {"a": 1}});
    done(&world, json!({"prompt": "p", "params": params})).await;
    done(
        &world,
        json!({"prompt": "p", "params": {"thinking": "high", "seed": -1, "stop": ["a", ""]}}),
    )
    .await;
    let sent = asked(&world);
    let first = &sent[0];
    let expected = SamplingParams {
        temperature: Some(0.1),
        top_p: Some(0.5),
        top_k: Some(3),
        max_output_tokens: Some(64),
        seed: Some(42),
        stop: vec!["END".to_owned()],
        frequency_penalty: Some(1.0),
        presence_penalty: Some(0.5),
        repetition_penalty: None,
    };
    assert_eq!(first.params, expected);
    assert_eq!(
        (first.thinking, first.timeout),
        (Some(Thinking::Low), Some(Duration::from_secs(9)))
    );
    assert_eq!(first.extra["a"], 1);
    assert_eq!(
        (sent[1].thinking, sent[1].params.seed, sent[1].params.stop.len()),
        (Some(Thinking::High), None, 1)
    );
}

#[tokio::test]
async fn models_come_from_payload_run_and_default() {
    let world = World::new(vec![]);
    let body = json!({"provider": "ollama", "model": "qwen3:4b"});
    world
        .routes()
        .set(&world.scope, "output.text", &body)
        .await
        .expect("set");
    done(&world, json!({"prompt": "p", "provider": "vllm", "model": "m"})).await;
    done(&world, json!({"prompt": "p"})).await;
    done(
        &world,
        json!({"prompt": "p", "model": "m2", "params": {"base_url": "http://own"}}),
    )
    .await;
    let bare = World {
        run: world.run.clone(),
        ..World::new(vec![])
    }
    .var("_runtime", json!({}));
    let error = failed(&bare, json!({"prompt": "p"})).await;
    assert!(
        error.starts_with("No provider/model is configured for llm_call. "),
        "{error}"
    );
    let error = failed(&bare, json!({"prompt": "p", "provider": "nope", "model": "m"})).await;
    assert!(
        error.starts_with("Unknown provider: nope. Available providers: "),
        "{error}"
    );
    let models: Vec<_> = asked(&world).into_iter().map(|request| request.model).collect();
    assert_eq!(models, ["m", "gpt-4o-mini", "m2"]);
    let queries = world.directory.queries.lock();
    let seen: Vec<_> = queries
        .iter()
        .map(|query| (query.provider.as_str(), query.base_url.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("vllm", None),
            ("openai-compatible", None),
            ("ollama", Some("http://own"))
        ]
    );
}

#[tokio::test]
async fn messages_are_joined_and_prompts_follow() {
    let world = World::new(vec![]);
    let messages = json!([
        {"role": "system", "content": "A"}, {"role": "system", "content": "Recent tool activity:\n- x"},
        {"role": "system", "content": "B"}, {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "id": "c1", "function": {"name": "t", "arguments": "{\"a\": 1}"}}]},
        {"role": "tool", "content": "[t]: r", "metadata": {"call_id": "c1"}},
        {"role": "tool", "content": "[t]: lost", "tool_call_id": "c9"}, {"role": "alien", "content": "?"},
    ]);
    done(
        &world,
        json!({"messages": messages, "prompt": "last", "system_prompt": "S"}),
    )
    .await;
    let sent = &asked(&world)[0];
    assert_eq!(
        roles(sent),
        ["system", "user", "assistant", "tool", "user", "user"]
    );
    assert!(
        texts(sent)[0].starts_with("S\n\nA\n\nB\n\n"),
        "{}",
        texts(sent)[0]
    );
    assert!(texts(sent)[0].contains("<runtime_metadata>"));
    assert_eq!(sent.messages[2].tool_calls[0].arguments["a"], 1);
    assert_eq!(sent.messages[3].tool_call_id.as_deref(), Some("c1"));
    assert_eq!(&texts(sent)[4..], ["[t]: lost", "last"]);
}

#[tokio::test]
async fn budgets_trim_the_conversation_unless_the_run_forbids_it() {
    let messages = json!([{"role": "user", "content": "OLDEST ".repeat(80)}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]);
    let cases = [
        (
            json!({"messages": messages, "max_input_tokens": 60}),
            json!({}),
            vec!["system", "assistant", "user"],
        ),
        (
            json!({"messages": messages}),
            json!({"max_input_tokens": 1}),
            vec!["system", "user"],
        ),
        (
            json!({"messages": messages}),
            json!({}),
            vec!["system", "user", "assistant", "user"],
        ),
    ];
    for (payload, limits, expected) in cases {
        let world = World::new(vec![]).var("_limits", limits);
        done(&world, payload.clone()).await;
        assert_eq!(roles(&asked(&world)[0]), expected);
        let free = World::new(vec![]).var("_runtime.disable_input_trimming", json!(true));
        done(&free, payload).await;
        assert_eq!(roles(&asked(&free)[0]).len(), 4);
    }
}

#[tokio::test]
async fn tool_calls_are_reported_with_their_ids() {
    let calls = vec![
        ToolCall::from_wire(
            Some("call_1".into()),
            "read_file".into(),
            json!({"file_path": "a"}),
        ),
        ToolCall::from_wire(None, "read_file".into(), json!("{broken")),
    ];
    let world = World::new(vec![Step::calls(calls)]);
    let tools =
        json!([{"name": "read_file", "description": "d", "parameters": {"file_path": {"type": "string"}}}]);
    let result = done(&world, json!({"prompt": "p", "tools": tools})).await;
    let expected = json!([
        {"name": "read_file", "arguments": {"file_path": "a"}, "call_id": "call_1"},
        {"name": "read_file", "arguments": {}, "call_id": null},
    ]);
    assert_eq!(
        (&result["tool_calls"], &result["content"]),
        (&expected, &Value::Null)
    );
    let sent = &asked(&world)[0];
    assert_eq!(sent.tools[0].parameters["required"], json!(["file_path"]));
    assert_eq!(
        roles(sent),
        ["system", "user"],
        "the attachment index joins the system text"
    );
    assert!(
        texts(sent)[0].starts_with("Session attachments"),
        "{}",
        texts(sent)[0]
    );
}

#[tokio::test]
async fn the_turn_joins_the_context() {
    let context = json!([{"role": "user", "content": "first question"}]);
    let world = World::new(vec![Step::text("saw history")]).var("context.messages", context);
    let prompt = format!("{BLOCK}and now?");
    let messages =
        json!([{"role": "user", "content": "first question"}, {"role": "user", "content": prompt}]);
    let answer = answer(&world, json!({"messages": messages, "include_context": true})).await;
    let metadata = json!({"kind": "llm_turn", "node_id": "llm"});
    let turn = vec![
        json!({"role": "user", "content": prompt, "metadata": metadata}),
        json!({"role": "assistant", "content": "saw history", "metadata": metadata}),
    ];
    assert_eq!(
        answer.changes,
        [VarChange::Append("context.messages".to_owned(), turn)]
    );
    assert_eq!(
        roles(&asked(&world)[0]),
        ["system", "user", "user"],
        "the context is not sent twice"
    );

    done(&world, json!({"prompt": "and?", "use_context": true})).await;
    assert_eq!(&texts(&asked(&world)[1])[1..], ["first question", "and?"]);
    let structured = World::new(vec![Step::text("{\"n\":1}")]);
    let payload = json!({"prompt": "p", "response_schema": schema(), "include_context": true});
    let changes = super::tests::answer(&structured, payload).await.changes;
    let VarChange::Append(_, turn) = &changes[0] else {
        panic!("append")
    };
    assert_eq!(turn[1]["content"], "{\n  \"n\": 1\n}");
}

#[tokio::test]
async fn echoes_of_the_time_block_are_removed() {
    let world = World::new(vec![Step::text(&format!("{BLOCK}Hello {BLOCK}you"))]);
    assert_eq!(done(&world, json!({"prompt": "p"})).await["content"], "Hello you");
    let open = "<runtime_metadata>{ is how it begins";
    let world = World::new(vec![Step::text(open)]);
    assert_eq!(done(&world, json!({"prompt": "p"})).await["content"], open);
}

#[tokio::test]
async fn prompt_cache_keys() {
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        b"v1|s1|openai-compatible|gpt-4o-mini|b@1:main|llm",
    ));
    let derived = |namespace: &str| Some(format!("{namespace}:{}", &digest[..24]));
    let cases = [
        (json!({}), Value::Null, None),
        (json!({}), json!(true), derived("s1")),
        (
            json!({}),
            json!({"enabled": true, "namespace": "ns"}),
            derived("ns"),
        ),
        (
            json!({}),
            json!({"enabled": true, "key": "fixed"}),
            Some("fixed".to_owned()),
        ),
        (json!({}), json!({"enabled": false, "key": "fixed"}), None),
        (json!({"prompt_cache_key": ""}), json!(true), Some(String::new())),
        (
            json!({"prompt_cache_key": "k"}),
            json!(true),
            Some("k".to_owned()),
        ),
        (
            json!({"prompt_cache_binding": {"id": "b", "key": "bk"}}),
            json!(true),
            Some("bk".to_owned()),
        ),
        (
            json!({"prompt_cache_binding": "bound"}),
            json!(true),
            Some("bound".to_owned()),
        ),
        (json!({"prompt_cache_binding": {"id": "b"}}), json!(true), None),
    ];
    for (params, setting, expected) in cases {
        let world = World::new(vec![]).var("_runtime.prompt_cache", setting);
        done(&world, json!({"prompt": "p", "params": params})).await;
        assert_eq!(asked(&world)[0].prompt_cache_key, expected, "{params}");
    }
    let params = json!({"prompt_cache_key": "a", "prompt_cache_binding": {"key": "b"}});
    let error = failed(&World::new(vec![]), json!({"prompt": "p", "params": params})).await;
    assert_eq!(error, "prompt_cache_key and prompt_cache_binding.key must match.");
}

#[tokio::test]
async fn secrets_and_addresses_of_connections_are_not_recorded() {
    let reply = ChatReply {
        content: Some("x".to_owned()),
        provider_request: json!({"url": "http://10.0.0.7/v1/chat/completions", "payload": {"image": format!("data:image/png;base64,{}", "A".repeat(9000))}}),
        ..ChatReply::default()
    };
    let world = World::new(vec![Step::reply(reply)]);
    let params = json!({"temperature": 1, "api_key": "sk-1", "provider_api_key": "sk-2", "base_url": "http://10.0.0.7/v1", "max_tokens": 5});
    let result = done(
        &world,
        json!({"prompt": "p", "provider": "endpoint:team", "model": "m", "params": params}),
    )
    .await;
    let metadata = &result["metadata"];
    assert_eq!(metadata["_provider_request"]["url"], "endpoint:team");
    let text = result.to_string();
    assert!(
        !text.contains("sk-") && !text.contains("10.0.0.7") && text.len() < 4000,
        "{text}"
    );
    let params = &metadata["_runtime_observability"]["llm_generate_kwargs"]["params"];
    assert_eq!(
        params,
        &json!({"temperature": 1, "max_tokens": 5, "max_output_tokens": 5})
    );
}

#[tokio::test]
async fn failures_of_the_model_are_the_effects_text() {
    let error = ProviderError::Connect {
        family: "F".to_owned(),
        detail: "refused".to_owned(),
        url: "http://h".to_owned(),
    };
    let world = World::new(vec![Step::fail(error.clone())]);
    assert_eq!(failed(&world, json!({"prompt": "p"})).await, error.to_string());
}

#[tokio::test]
async fn cancelled_calls_end() {
    let world = World::new(vec![Step::hang()]);
    world.cancel.cancel();
    assert_eq!(
        failed(&world, json!({"prompt": "p"})).await,
        "model call cancelled"
    );
}

/// `prompt_cache/set` chooses the key of all calls of a model that nobody gave one.
#[tokio::test]
async fn the_default_cache_key_of_a_model_is_the_last_resort() {
    let world = World::new(vec![]);
    let (model, other) = (
        json!({"prompt": "p", "provider": "OpenAI-compatible", "model": "gpt-4o-mini"}),
        json!({"prompt": "p", "provider": "vllm", "model": "gpt-4o-mini"}),
    );
    let set = async |key| {
        let routes = world.routes();
        routes
            .set_prompt_cache_key(&world.scope, "openai-compatible", "gpt-4o-mini", key)
            .await
            .expect("set");
    };
    set(Some("chosen")).await;
    done(&world, model.clone()).await;
    done(&world, other).await;
    let mut own = model.clone();
    for params in [
        json!({"prompt_cache_key": "own"}),
        json!({"prompt_cache_key": ""}),
        json!({"prompt_cache_binding": {"id": "b"}}),
    ] {
        own["params"] = params;
        done(&world, own.clone()).await;
    }
    set(None).await;
    done(&world, model).await;
    let keys: Vec<Option<String>> = asked(&world)
        .into_iter()
        .map(|request| request.prompt_cache_key)
        .collect();
    let text = |key: &str| Some(key.to_owned());
    assert_eq!(keys, [text("chosen"), None, text("own"), text(""), None, None]);
}
