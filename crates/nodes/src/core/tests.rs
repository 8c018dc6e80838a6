use ag_kernel::Exception;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, asked, function_in, function_with, mapped, plan_in, planned_payload};

#[test]
fn people_are_asked_and_told() {
    let mut vars = json!({});
    let shape = json!({"effectConfig": {"allowFreeText": false}, "reads": ["response", "choices"]});
    let values = json!({"prompt": "Pick", "choices": ["red", "green"]});
    let ask = plan_in(&ask_user::NODE, shape, values, &mut vars).expect("plan");
    let expected =
        json!({"type": "ask_user", "prompt": "Pick", "choices": ["red", "green"], "allow_free_text": false});
    assert_eq!(ask.payload, expected);
    let outputs = mapped(
        &ask_user::NODE,
        json!({}),
        vars.clone(),
        json!({"response": "green"}),
    );
    assert_eq!(outputs, json!({"response": "green", "choices": ["red", "green"]}));
    let outputs = mapped(&ask_user::NODE, json!({}), vars, json!({}));
    assert_eq!(outputs["response"], "[User prompt: Pick]");
    let default = planned_payload(&ask_user::NODE, json!({}), json!({}));
    assert_eq!(
        default,
        json!({"type": "ask_user", "prompt": "Please respond:", "choices": [], "allow_free_text": true})
    );

    for (values, message, level) in [
        (json!({"message": "héllo", "level": "warn"}), "héllo", "warning"),
        (json!({"message": 12.5, "level": "shout"}), "12.5", "message"),
        (json!({"message": null}), "", "message"),
    ] {
        let payload = planned_payload(&answer_user::NODE, json!({}), values);
        assert_eq!(
            payload,
            json!({"type": "answer_user", "message": message, "level": level})
        );
    }
}

#[test]
fn tools_are_called_as_allowed() {
    let calls = json!([{"name": "a", "arguments": {}}, "junk"]);
    for (shape, values, allowed) in [
        (json!({}), json!({"tool_calls": calls}), None),
        (
            json!({"effectConfig": {"allowed_tools": ["read_file"]}}),
            json!({"tool_calls": calls}),
            Some(json!(["read_file"])),
        ),
        (
            json!({"effectConfig": {"allowed_tools": ["x"]}}),
            json!({"tool_calls": calls, "allowed_tools": []}),
            Some(json!([])),
        ),
        (
            json!({}),
            json!({"tool_calls": calls, "allowed_tools": null}),
            Some(json!([])),
        ),
    ] {
        let payload = planned_payload(&tool_calls::NODE, shape, values);
        assert_eq!(payload["tool_calls"], json!([{"name": "a", "arguments": {}}]));
        assert_eq!(payload.get("allowed_tools").cloned(), allowed);
    }
    let results = |success: bool| json!({"mode": "executed", "results": [{"success": success, "output": "o", "error": "e"}]});
    for (node, raw, pin, value) in [
        (&tool_calls::NODE, results(true), "success", json!(true)),
        (&tool_calls::NODE, results(false), "success", json!(false)),
        (
            &tool_calls::NODE,
            json!({"mode": "executed", "results": []}),
            "success",
            json!(true),
        ),
        (
            &tool_calls::NODE,
            json!({"mode": "delegated", "results": []}),
            "success",
            json!(false),
        ),
        (&call_tool::NODE, results(true), "result", json!("o")),
        (&call_tool::NODE, results(false), "result", json!("e")),
        (
            &call_tool::NODE,
            json!({"mode": "executed", "results": [{"success": false}]}),
            "result",
            json!("Tool execution failed"),
        ),
        (
            &call_tool::NODE,
            json!({"mode": "executed", "results": []}),
            "result",
            json!("Missing tool result"),
        ),
        (
            &call_tool::NODE,
            json!({"mode": "job"}),
            "result",
            json!("Tool execution not completed (mode=job)"),
        ),
    ] {
        assert_eq!(
            mapped(node, json!({}), json!({}), raw.clone())[pin],
            value,
            "{} {raw}",
            node.spec.kind
        );
    }
}

#[test]
fn residency_copies_what_is_given() {
    let listed = planned_payload(
        &model_residency::NODE,
        json!({}),
        json!({"operation": "list_loaded"}),
    );
    assert_eq!(
        listed,
        json!({"type": "model_residency", "operation": "list_loaded"})
    );
    let shape = json!({"effectConfig": {"operation": "load", "task": "text_generation"}});
    let loaded = planned_payload(&model_residency::NODE, shape, json!({"model": "m", "pin": "yes"}));
    assert_eq!(
        loaded,
        json!({"type": "model_residency", "operation": "load", "task": "text_generation", "model": "m", "pin": true})
    );
    let soft = json!({"ok": false, "error": "x", "warnings": ["w"], "runtime": {"id": 1}});
    let outputs = mapped(&model_residency::NODE, json!({}), json!({}), soft.clone());
    let expected = json!({"success": false, "affected_models": [{"id": 1}], "models": [], "error": "x", "warnings": ["w"], "result": soft});
    assert_eq!(outputs, expected);
}

#[test]
fn child_flows_are_named_by_several_keys() {
    for key in ["subflowId", "flowId", "workflowId", "workflow_id"] {
        let payload = planned_payload(
            &subflow::NODE,
            json!({key: "b@1:c", "inputs": ["x", "y"]}),
            json!({"x": 2, "z": 1}),
        );
        let expected = json!({"type": "start_subworkflow", "workflow_id": "b@1:c", "vars": {"x": 2}, "async": true, "wait": true});
        assert_eq!(payload, expected);
    }
    let shape = json!({"subflowId": "c", "inputs": ["inherit_context", "q"]});
    let mut vars = json!({"context": {"task": "T", "messages": [{"role": "user", "content": "a"}]}});
    let values = json!({"inherit_context": true, "q": 1, "childSessionId": "s"});
    let payload = plan_in(&subflow::NODE, shape, values, &mut vars)
        .expect("plan")
        .payload;
    assert_eq!(
        payload["vars"],
        json!({"q": 1, "context": {"messages": [{"role": "user", "content": "a"}]}})
    );
    assert_eq!(payload["session_id"], "s");
}

#[test]
fn code_asks_with_its_pins_and_input() {
    let shape = json!({"codeBody": "return 1", "functionName": "1bad", "inputs": ["a", "permissions"]});
    let args = asked(
        &code::NODE,
        shape,
        json!({"a": 1, "permissions": "Full_Access", "ambient": 2}),
    );
    let expected = json!({"code_body": "return 1", "function_name": "transform", "pins": ["a"],
        "input": {"a": 1, "ambient": 2}, "permissions": "full_access"});
    assert_eq!(args, expected);
}

#[test]
fn functions_evaluate_or_pass_on() {
    let run = |shape: Value, answer: Answer| {
        function_with(&function::NODE, shape, json!({"a": 20}), answer)
            .expect("runs")
            .value
    };
    assert_eq!(run(json!({}), Answer::none()), json!({"a": 20}));
    assert_eq!(
        run(json!({"expression": "a * 2 + 1"}), Answer::ok(json!(41))),
        json!(41)
    );
    assert_eq!(
        run(
            json!({"expression": "x"}),
            Answer::raise(Exception::value("no x"))
        ),
        json!({"error": "no x"})
    );
    let answer = Answer::ok(json!({"ok": true, "value": 3, "execution": {}}));
    assert_eq!(
        run(json!({"code": "def transform(d): return 3"}), answer),
        json!(3)
    );
}

#[test]
fn messages_are_appended() {
    let mut vars = json!({"context": {"task": "T", "messages": [{"role": "user", "content": "first"}]}});
    let shape = json!({"terminal": true});
    let added = function_in(
        &add_message::NODE,
        shape,
        json!({"content": 5}),
        Answer::none(),
        &mut vars,
    )
    .expect("runs");
    let message = &vars["context"]["messages"][1];
    assert_eq!(
        (&message["role"], &message["content"]),
        (&json!("user"), &json!("5"))
    );
    let id = message["metadata"]["message_id"].as_str().expect("id");
    assert!(id.strip_prefix("msg_").is_some_and(|id| id.len() == 32), "{id}");
    assert_eq!(
        added.value,
        json!({"message": message, "context": vars["context"], "task": "T", "messages": vars["context"]["messages"]})
    );
    assert_eq!(added.terminal, Some(json!({"success": true, "message": message})));
    assert!(added.keep_last);
}
