//! Outputs, reports, waits and payloads of the recorded agent runs of the contract.

use ag_types::EffectKind;
use serde_json::{Value, json};

use super::{
    driver::{Event, calls, play, results, says, vars},
    read, system,
};

#[test]
fn a_direct_answer() {
    let played = play(&vars("just answer", &[], 50), vec![says("direct answer")]);
    let expected = json!({
        "answer": "direct answer", "iterations": 1,
        "messages": [
            {"content": "just answer", "metadata": {}, "role": "user"},
            {"content": "direct answer", "metadata": {"kind": "final_answer"}, "role": "assistant"},
        ],
        "report": "task: just answer\ncycles: 1\n\ncycle 1\n- thought: direct answer",
        "scratchpad": {
            "cycles": [{"i": 1, "observations": [], "thought": "direct answer", "tool_calls": []}],
            "iteration": 1, "max_iterations": 50, "used_tools": false,
        },
    });
    assert_eq!(played.output(), expected);
    assert_eq!(
        played.rows,
        [
            "reason started llm_call",
            "reason completed llm_call",
            "done completed -",
            "done completed emit_event"
        ]
    );
    let payload = &played.effects[0].2;
    let keys: Vec<_> = payload.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "prompt",
            "messages",
            "tools",
            "system_prompt",
            "provider",
            "model",
            "params"
        ]
    );
    assert_eq!(payload["tools"], json!([]));
    assert_eq!(payload["params"]["temperature"], json!(0.7));
    assert_eq!(payload["prompt"], "");
    let limits = &played.run.vars["_limits"];
    assert_eq!(
        (&limits["max_output_tokens"], &limits["max_history_messages"]),
        (&Value::Null, &json!(-1))
    );
    assert_eq!(limits["current_iteration"], 1);
    assert_eq!(played.run.vars["_runtime"]["disable_input_trimming"], true);
}

#[test]
fn two_tools_in_one_turn() {
    let played = play(
        &vars("look twice", &["read_file", "list_files", "vanished"], 50),
        vec![
            calls(&[
                ("read_file", read("info.txt"), "call_1_1"),
                ("read_file", read("missing.txt"), "call_1_2"),
            ]),
            results(&[
                (
                    "call_1_1",
                    "read_file",
                    true,
                    "File: w/info.txt (1 lines)\n\n1: colour: teal",
                ),
                (
                    "call_1_2",
                    "read_file",
                    false,
                    "File 'w/missing.txt' does not exist",
                ),
            ]),
            says("done with two"),
        ],
    );
    let call =
        |id: &str, file: &str| json!({"arguments": {"file_path": file}, "call_id": id, "name": "read_file"});
    let wire = |id: &str, arguments: &str| json!({"function": {"arguments": arguments, "name": "read_file"}, "id": id, "type": "function"});
    let (ok, failed) = (
        "[read_file]: File: w/info.txt (1 lines)\n\n1: colour: teal",
        "[read_file]: Error: File 'w/missing.txt' does not exist",
    );
    let expected = json!({
        "answer": "done with two", "iterations": 2,
        "messages": [
            {"content": "look twice", "metadata": {}, "role": "user"},
            {"content": "", "metadata": {"cycle": 1, "kind": "tool_calls"}, "role": "assistant", "tool_calls": [
                wire("call_1_1", "{\"file_path\": \"info.txt\"}"), wire("call_1_2", "{\"file_path\": \"missing.txt\"}"),
            ]},
            {"content": ok, "metadata": {"call_id": "call_1_1", "name": "read_file", "success": true}, "role": "tool"},
            {"content": failed, "metadata": {"call_id": "call_1_2", "name": "read_file", "success": false}, "role": "tool"},
            {"content": "done with two", "metadata": {"kind": "final_answer"}, "role": "assistant"},
        ],
        "report": "task: look twice\ncycles: 2\n\ncycle 1\n- actions:\n  - read_file({\"file_path\": \"info.txt\"})\n  - read_file({\"file_path\": \"missing.txt\"})\n- observations:\n  - [read_file] OK: File: w/info.txt (1 lines)\n\n1: colour: teal\n  - [read_file] ERR: File 'w/missing.txt' does not exist\n\ncycle 2\n- thought: done with two",
        "scratchpad": {
            "cycles": [
                {"i": 1, "thought": "", "tool_calls": [call("call_1_1", "info.txt"), call("call_1_2", "missing.txt")], "observations": [
                    {"call_id": "call_1_1", "error": null, "name": "read_file", "output": "File: w/info.txt (1 lines)\n\n1: colour: teal", "rendered": ok, "success": true},
                    {"call_id": "call_1_2", "error": "File 'w/missing.txt' does not exist", "name": "read_file", "output": null, "rendered": failed, "success": false},
                ]},
                {"i": 2, "observations": [], "thought": "done with two", "tool_calls": []},
            ],
            "iteration": 2, "max_iterations": 50, "used_tools": true,
        },
    });
    assert_eq!(played.output(), expected);
    let batch = played.payloads(EffectKind::ToolCalls)[0];
    assert_eq!(batch.keys().collect::<Vec<_>>(), ["tool_calls", "allowed_tools"]);
    assert_eq!(
        batch["allowed_tools"],
        json!(["list_files", "read_file"]),
        "sorted by the kernel, vanished tools are gone"
    );
    assert_eq!(batch["tool_calls"][1]["call_id"], "call_1_2");
    let second = played.payloads(EffectKind::LlmCall)[1];
    let names: Vec<_> = second["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["name"].clone())
        .collect();
    assert_eq!(
        names,
        ["read_file", "list_files"],
        "in the order of the allow-list"
    );
    assert_eq!(second["params"]["temperature"], json!(0.2));
    assert_eq!(
        second["messages"][3],
        json!({"role": "tool", "content": failed, "tool_call_id": "call_1_2"})
    );
    assert_eq!(
        second["messages"][1]["tool_calls"][0],
        wire("call_1_1", "{\"file_path\": \"info.txt\"}")
    );
    assert!(system(&played, 1).starts_with("Iteration: 2/50\n"));
    assert!(system(&played, 1).contains("## Scratchpad (ReAct cycles so far)\n[cycle 1]\n"));
    let id = played.run.vars["_runtime"]["toolset_id"].as_str().expect("an id");
    assert!(id.starts_with("ts_") && id.len() == 67, "{id}");
}

#[test]
fn other_tools_are_left_to_the_allow_list() {
    let text = "Tool 'execute_command' is not allowed for this node";
    let played = play(
        &vars("cheat", &["read_file"], 50),
        vec![
            calls(&[("execute_command", json!({"command": "id"}), "call_1_1")]),
            results(&[("call_1_1", "execute_command", false, text)]),
            says("fine, no command"),
        ],
    );
    assert_eq!(
        played.output()["report"],
        "task: cheat\ncycles: 2\n\ncycle 1\n- actions:\n  - execute_command(command='id')\n- observations:\n  - [execute_command] ERR: Tool 'execute_command' is not allowed for this node\n\ncycle 2\n- thought: fine, no command"
    );
    assert_eq!(
        played.payloads(EffectKind::ToolCalls)[0]["allowed_tools"],
        json!(["read_file"])
    );
}

#[test]
fn the_agent_asks_the_user() {
    let played = play(
        &vars("ask me", &["ask_user"], 50),
        vec![
            calls(&[("ask_user", json!({"question": "Which one?"}), "call_1_1")]),
            Event::Answer(json!({"response": "the blue one"})),
            says("thanks"),
        ],
    );
    let wait = &played.waits[0];
    assert_eq!(wait.prompt.as_deref(), Some("Which one?"));
    assert_eq!(
        (wait.resume_to_node.as_deref(), wait.choices.as_ref()),
        (Some("handle_user_response"), None)
    );
    assert_eq!(
        wait.wait_key,
        Some(format!("user:{}:act", played.run.head.run_id))
    );
    let output = played.output();
    assert_eq!(
        output["messages"].as_array().expect("messages")[2..4],
        [
            json!({"role": "assistant", "content": "[Agent question]: Which one?", "metadata": {"kind": "ask_user_prompt"}}),
            json!({"role": "user", "content": "[User response]: the blue one", "metadata": {}}),
        ]
    );
    assert_eq!(
        output["report"],
        "task: ask me\ncycles: 2\n\ncycle 1\n- actions:\n  - ask_user({\"question\": \"Which one?\"})\n\ncycle 2\n- thought: thanks"
    );
    assert_eq!(output["scratchpad"]["used_tools"], false);
    assert_eq!(output["scratchpad"]["cycles"][0]["observations"], json!([]));
    let roles: Vec<_> = played.payloads(EffectKind::LlmCall)[1]["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(
        roles,
        ["user", "assistant", "user"],
        "no call without a result is sent"
    );
}

#[test]
fn the_limit_asks_for_a_closing_answer() {
    let turn = |n: &str| {
        [
            calls(&[("read_file", read("info.txt"), n)]),
            results(&[(n, "read_file", true, "teal")]),
        ]
    };
    let script: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .flat_map(turn)
        .chain([says("summary at the limit")])
        .collect();
    let played = play(&vars("loop forever", &["read_file"], 3), script);
    let cycle = |n: i32| {
        format!(
            "\n\ncycle {n}\n- actions:\n  - read_file({{\"file_path\": \"info.txt\"}})\n- observations:\n  - [read_file] OK: teal"
        )
    };
    let output = played.output();
    assert_eq!(
        output["report"],
        format!(
            "task: loop forever\ncycles: 3{}{}{}",
            cycle(1),
            cycle(2),
            cycle(3)
        )
    );
    assert_eq!(
        (&output["answer"], &output["iterations"]),
        (&json!("summary at the limit"), &json!(3))
    );
    assert_eq!(output["scratchpad"]["max_iterations"], 3);
    let (node, _, payload) = played.effects.last().expect("effects");
    assert_eq!(node, "max_iterations");
    assert_eq!(
        (&payload["tools"], &payload["params"]["temperature"]),
        (&json!([]), &json!(0.2))
    );
    assert!(
        payload["system_prompt"]
            .as_str()
            .is_some_and(|text| text.contains("## Max iterations reached\n"))
    );
    assert_eq!(
        played.rows[played.rows.len() - 4..],
        [
            "max_iterations started llm_call",
            "max_iterations completed llm_call",
            "max_iterations completed -",
            "max_iterations completed emit_event"
        ]
    );
}
