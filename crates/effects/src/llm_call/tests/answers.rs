//! Answers that are cut or bound to a schema.

use super::*;

fn cut(text: &str) -> Step {
    Step::reply(ChatReply {
        content: Some(text.to_owned()),
        finish_reason: Some("length".to_owned()),
        ..ChatReply::default()
    })
}

#[tokio::test]
async fn cut_answers_get_more_room_and_fail_in_the_end() {
    let world = World::new(vec![cut("a"), cut("b"), cut("c")]);
    let error = failed(&world, json!({"prompt": "long"})).await;
    assert_eq!(
        error,
        "LLM_CALL output was truncated (finish_reason=length). Attempted max_output_tokens: 16000, 16000, 16000. Increase max_output_tokens/max_out_tokens (or set allow_truncation=true)."
    );
    let keys: Vec<_> = asked(&world)
        .into_iter()
        .filter_map(|request| request.idempotency_key)
        .collect();
    assert_eq!(keys, ["run/llm/1", "run/llm/1/t2", "run/llm/1/t3"]);

    let world = World::new(vec![cut("a"), Step::text("whole")]);
    let result = done(&world, json!({"prompt": "long", "params": {"max_tokens": 100}})).await;
    assert_eq!(result["content"], "whole");
    assert_eq!(
        result["metadata"]["_truncation"],
        json!({"attempts": [100, 600], "resolved": true})
    );

    let world = World::new(vec![cut("a")]);
    let result = done(&world, json!({"prompt": "long", "allow_truncation": true})).await;
    assert_eq!(
        (&result["content"], &result["finish_reason"]),
        (&json!("a"), &json!("length"))
    );
    assert_eq!(result["metadata"]["_truncation"]["resolved"], false);

    let world = World::new(vec![cut("a"), Step::text("never")]);
    let error = failed(&world, json!({"prompt": "long", "retry_on_truncation": false})).await;
    assert!(error.contains("Attempted max_output_tokens: 16000. "), "{error}");
}

#[tokio::test]
async fn structured_answers_are_data_alone() {
    let world = World::new(vec![Step::text("{\"n\": 1}")]);
    let result = done(&world, json!({"prompt": "p", "response_schema": schema()})).await;
    assert_eq!(result["data"], json!({"n": 1}));
    for key in [
        "content",
        "tool_calls",
        "usage",
        "model",
        "finish_reason",
        "trace_id",
    ] {
        assert_eq!(result.get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(result.get("reasoning"), None);
    assert_eq!(
        result["metadata"]["_runtime_observability"]["usage"]["total_tokens"],
        18
    );
    assert!(
        asked(&world)[0].response_schema.is_some(),
        "gpt-4o-mini has native schemas"
    );
}

#[tokio::test]
async fn answers_that_do_not_fit_fail_or_fall_back() {
    let no = || vec![Step::text("I would rather not"); 4];
    let world = World::new(no());
    let error = failed(&world, json!({"prompt": "p", "response_schema": schema()})).await;
    assert!(
        error.starts_with("Structured output failed after 4 attempts: "),
        "{error}"
    );
    let natives: Vec<_> = asked(&world)
        .iter()
        .map(|request| request.response_schema.is_some())
        .collect();
    assert_eq!(natives, [true, false, false, false]);

    for (last, data, parse_error) in [
        ("ok: {\"m\": 2}", json!({"m": 2}), false),
        ("[1]", json!({"value": [1]}), false),
        ("no", Value::Null, true),
    ] {
        let world = World::new(no().into_iter().chain([Step::text(last)]).collect());
        let payload = json!({"prompt": "p", "response_schema": schema(), "structured_output_fallback": true});
        let result = done(&world, payload).await;
        assert_eq!((&result["content"], &result["data"]), (&json!(last), &data));
        assert_eq!(result["metadata"]["_structured_output_fallback"]["used"], true);
        assert_eq!(
            result["metadata"].get("_structured_output_parse_error").is_some(),
            parse_error
        );
        let sent = asked(&world);
        assert_eq!(
            (sent.len(), sent[4].idempotency_key.as_deref()),
            (5, Some("run/llm/1/f"))
        );
    }
    let error = failed(
        &World::new(vec![]),
        json!({"prompt": "p", "response_schema": [1]}),
    )
    .await;
    assert_eq!(error, "response schema must be a JSON object");
}

#[tokio::test]
async fn tools_come_before_the_schema() {
    let call = ToolCall::from_wire(Some("1".into()), "t".into(), json!({}));
    let world = World::new(vec![
        Step::calls(vec![call]),
        Step::text("{\"n\": 3}"),
        Step::text("later"),
        Step::text("{\"n\": 4}"),
    ]);
    let payload = json!({"prompt": "p", "response_schema": schema(), "tools": [{"name": "t"}]});
    let first = done(&world, payload.clone()).await;
    assert_eq!(
        (&first["data"], &first["tool_calls"][0]["name"]),
        (&Value::Null, &json!("t"))
    );
    assert_eq!(done(&world, payload.clone()).await["data"], json!({"n": 3}));
    assert_eq!(done(&world, payload).await["data"], json!({"n": 4}));
    let keys: Vec<_> = asked(&world)
        .into_iter()
        .filter_map(|request| request.idempotency_key)
        .collect();
    assert_eq!(keys[2..], ["run/llm/1", "run/llm/1/s"]);
}

/// Reasoning that its server wants back with the results of the calls: kept with the calls, given back with them.
#[tokio::test]
async fn reasoning_is_kept_with_calls() {
    let block = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let reply = |calls: Vec<ag_providers::ToolCall>| ChatReply {
        content: Some("a".to_owned()),
        tool_calls: calls,
        thinking_blocks: vec![block.clone()],
        finish_reason: Some("tool_use".to_owned()),
        ..ChatReply::default()
    };
    let call = ag_providers::ToolCall::from_wire(Some("t".to_owned()), "f".to_owned(), json!({}));
    let world = World::new(vec![
        Step::reply(reply(vec![call])),
        Step::reply(reply(vec![])),
        Step::text("b"),
    ]);
    let kept = done(&world, json!({"prompt": "p"})).await;
    assert_eq!(kept["thinking_blocks"], json!([block]));
    let plain = done(&world, json!({"prompt": "p"})).await;
    assert_eq!(plain.get("thinking_blocks"), None);

    let messages = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "thinking_blocks": kept["thinking_blocks"],
            "tool_calls": [{"type": "function", "id": "t", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "r", "tool_call_id": "t"},
    ]);
    done(&world, json!({"messages": messages})).await;
    let sent = asked(&world);
    let blocks: Vec<usize> = sent[2]
        .messages
        .iter()
        .map(|message| message.thinking_blocks.len())
        .collect();
    assert_eq!(blocks.iter().sum::<usize>(), 1, "{blocks:?}");
}
