use ag_providers::CapabilityTable;
use bytes::Bytes;

use super::*;

fn body(family: &str, req: &ChatRequest) -> Value {
    let caps = CapabilityTable::built_in().lookup(&req.model);
    Value::Object(chat_body(family, &caps, req, false).expect("body").body)
}

fn recorded(model: &str) -> ChatRequest {
    let mut req = ChatRequest {
        model: model.to_owned(),
        ..ChatRequest::default()
    };
    req.messages = vec![
        ChatMessage::system("SYS"),
        ChatMessage::user("q"),
        ChatMessage::assistant("a"),
        ChatMessage::user("hello"),
    ];
    req.params.max_output_tokens = Some(64);
    req
}

/// The bodies recorded for one conversation, per family.
#[test]
fn recorded_bodies() {
    let messages = json!([
        {"role":"system","content":"SYS"},{"role":"user","content":"q"},
        {"role":"assistant","content":"a"},{"role":"user","content":"hello"}
    ]);
    let mut effort = recorded("gpt-5-mini");
    effort.thinking = Some(ag_providers::Thinking::High);
    let cases = [
        (
            "openai-compatible",
            recorded("qwen3-8b"),
            json!({"model":"qwen3-8b","messages":messages,"stream":false,"temperature":0.7,"max_tokens":64,"top_p":0.9}),
        ),
        (
            "openai",
            recorded("gpt-4o-mini"),
            json!({"messages":messages,"model":"gpt-4o-mini","stream":false,"temperature":0.7,"top_p":1.0,
                   "frequency_penalty":0.0,"presence_penalty":0.0,"max_tokens":64}),
        ),
        (
            "openai",
            effort,
            json!({"messages":messages,"model":"gpt-5-mini","max_completion_tokens":64,"reasoning_effort":"high","stream":false}),
        ),
        (
            "portkey",
            recorded("x"),
            json!({"model":"x","messages":messages,"stream":false,"max_tokens":64}),
        ),
    ];
    for (family, req, expected) in cases {
        assert_eq!(body(family, &req), expected, "{family}");
    }
}

#[test]
fn unset_values_take_the_tables_and_unsendable_ones_are_left_out() {
    let mut req = ChatRequest::prompt("gpt-4o-mini", "x");
    req.params.seed = Some(-1);
    assert_eq!(
        body("openai-compatible", &req),
        json!({"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"stream":false,
               "temperature":0.7,"max_tokens":16000,"top_p":0.9})
    );
    assert_eq!(
        body("portkey", &req),
        json!({"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"stream":false})
    );
    req.params.seed = Some(5);
    req.params.stop = vec!["END".to_owned()];
    let sent = body("vllm", &req);
    assert_eq!((&sent["seed"], &sent["stop"]), (&json!(5), &json!(["END"])));
}

#[test]
fn systems_are_joined_and_a_user_turn_is_added() {
    let mut req = ChatRequest {
        model: "m".to_owned(),
        ..ChatRequest::default()
    };
    req.messages = vec![
        ChatMessage::system("a"),
        ChatMessage::system("b"),
        ChatMessage::assistant("c"),
    ];
    assert_eq!(
        body("vllm", &req)["messages"],
        json!([{"role":"system","content":"a\n\nb"},{"role":"assistant","content":"c"},{"role":"user","content":"Continue."}])
    );
}

#[test]
fn tools_and_their_history() {
    let mut req = ChatRequest::prompt("gpt-4o-mini", "x");
    req.tools = vec![ToolSpec {
        name: "get_w".to_owned(),
        description: "d".to_owned(),
        parameters: json!({"type":"object","properties":{"city":{"type":"string"},"u":{"type":"string","default":"C"}}}),
    }];
    let call = ToolCall::from_wire(
        Some("call_1".to_owned()),
        "get_w".to_owned(),
        json!({"city":"Oslo"}),
    );
    req.messages.push(ChatMessage {
        tool_calls: vec![call],
        ..ChatMessage::assistant("")
    });
    req.messages.push(ChatMessage::tool("call_1", "[get_w]: cold"));
    let sent = body("openai-compatible", &req);
    assert_eq!(
        sent["tools"],
        json!([{"type":"function","function":{"name":"get_w","description":"d","parameters":
            {"type":"object","properties":{"city":{"type":"string"},"u":{"type":"string"}},"required":["city"]}}}])
    );
    assert_eq!(sent["tool_choice"], "auto");
    assert_eq!(
        sent["messages"][1],
        json!({"role":"assistant","content":"","tool_calls":[{"type":"function","id":"call_1",
            "function":{"name":"get_w","arguments":"{\"city\":\"Oslo\"}"}}]})
    );
    assert_eq!(
        sent["messages"][2],
        json!({"role":"tool","content":"[get_w]: cold","tool_call_id":"call_1"})
    );
}

#[test]
fn schemas_are_closed_for_openai_only() {
    let schema = json!({"type":"object","properties":{"a":{"type":"array","items":
        {"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}}},"required":["a"]});
    let mut req = ChatRequest::prompt("gpt-4o-mini", "x");
    req.response_schema = Some(ResponseSchema {
        name: "Ans".to_owned(),
        schema: schema.as_object().cloned().expect("object"),
    });
    assert_eq!(
        body("vllm", &req)["response_format"],
        json!({"type":"json_schema","json_schema":{"name":"Ans","schema":schema}})
    );
    let strict = &body("openai", &req)["response_format"]["json_schema"];
    assert_eq!(strict["strict"], true);
    assert_eq!(strict["schema"]["additionalProperties"], false);
    assert_eq!(
        strict["schema"]["properties"]["a"]["items"]["additionalProperties"],
        false
    );
    // An optional property would be refused as strict.
    if let Some(schema) = &mut req.response_schema {
        schema.schema.remove("required");
    }
    assert_eq!(
        body("openai", &req)["response_format"]["json_schema"]["strict"],
        false
    );
}

#[test]
fn pictures_travel_as_data_urls() {
    let source = MediaSource::Inline {
        content_type: "image/png".to_owned(),
        data: Bytes::from_static(b"abc"),
    };
    let parts = MessageContent::Parts(vec![
        ContentPart::Text("look".to_owned()),
        ContentPart::Image(source),
    ]);
    let req = ChatRequest::prompt("gpt-4o", parts);
    assert_eq!(
        body("openai", &req)["messages"][0]["content"],
        json!([{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,YWJj"}}])
    );
}

#[test]
fn extra_members_join_at_top_level() {
    let mut req = ChatRequest::prompt("qwen3-8b", "x");
    req.thinking = Some(ag_providers::Thinking::Off);
    req.extra = json!({"extra_body":{"chat_template_kwargs":{"x":1},"min_p":0.1},"model":"other","user":"u"})
        .as_object()
        .cloned()
        .expect("object");
    let sent = body("vllm", &req);
    assert_eq!(
        sent["chat_template_kwargs"],
        json!({"enable_thinking":false,"x":1})
    );
    assert_eq!(
        (&sent["min_p"], &sent["model"], &sent["user"]),
        (&json!(0.1), &json!("qwen3-8b"), &json!("u"))
    );
    assert!(sent.get("extra_body").is_none());
}
