//! The loop on the kernel. Outputs, reports and payloads are those of the recorded agent runs of the contract.

mod driver;

use ag_types::{EffectKind, RunStatus};
use driver::{Event, Played, calls, model, play, results, says, vars};
use serde_json::{Value, json};

fn read(file: &str) -> Value {
    json!({"file_path": file})
}

fn system(played: &Played, turn: usize) -> &str {
    played.payloads(EffectKind::LlmCall)[turn]["system_prompt"]
        .as_str()
        .expect("a system prompt")
}

#[test]
fn a_direct_answer() {
    let played = play(vars("just answer", &[], 50), vec![says("direct answer")]);
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
        vars("look twice", &["read_file", "list_files", "vanished"], 50),
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
        vars("cheat", &["read_file"], 50),
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
        vars("ask me", &["ask_user"], 50),
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
fn the_queue_is_cut_before_built_ins() {
    let played = play(
        vars("T", &["read_file", "ask_user", "remember_note"], 50),
        vec![
            calls(&[
                ("read_file", read("a"), "1"),
                ("ask_user", json!({"question": "Q", "choices": ["x"]}), "2"),
                ("read_file", read("b"), "3"),
                ("read_file", read("c"), "4"),
                ("remember_note", json!({"note": "n"}), "5"),
                ("inspect_vars", json!({}), "6"),
                ("remember_note", json!({}), "7"),
            ]),
            results(&[("1", "read_file", true, "A")]),
            Event::Answer(json!({"response": "x"})),
            results(&[("3", "read_file", true, "B"), ("4", "read_file", true, "C")]),
            Event::Result(
                EffectKind::MemoryNote,
                json!({"mode": "executed", "results": [
                {"call_id": "5", "name": "remember_note", "success": true, "output": "Stored", "error": null, "meta": {}}]}),
            ),
            says("end"),
        ],
    );
    assert_eq!(played.waits[0].choices, Some(json!(["x"])));
    assert_eq!(
        Value::Object(played.payloads(EffectKind::MemoryNote)[0].clone()),
        json!({"note": "n", "tool_name": "remember_note", "call_id": "5"})
    );
    let output = played.output();
    let seen: Vec<_> = output["scratchpad"]["cycles"][0]["observations"]
        .as_array()
        .expect("list")
        .iter()
        .map(|seen| seen["rendered"].clone())
        .collect();
    assert_eq!(
        seen,
        [
            "[read_file]: A",
            "[read_file]: B",
            "[read_file]: C",
            "[remember_note]: Stored",
            "[inspect_vars]: Error: Tool 'inspect_vars' is not allowed for this agent",
            "[remember_note]: Error: MEMORY_NOTE requires payload.note (non-empty string)",
        ]
    );
    let request: Vec<_> = played.payloads(EffectKind::LlmCall)[1]["messages"]
        .as_array()
        .expect("list")
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(
        request[..8],
        [
            "user",
            "assistant",
            "tool",
            "tool",
            "tool",
            "tool",
            "tool",
            "tool"
        ]
    );
    assert_eq!(
        request[8..],
        ["assistant", "user"],
        "question and answer follow the results"
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
    let played = play(vars("loop forever", &["read_file"], 3), script);
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

#[test]
fn the_limit_copes_with_calls_and_silence() {
    let start = || {
        vec![
            calls(&[("read_file", read("a"), "1")]),
            results(&[("1", "read_file", true, "A")]),
        ]
    };
    let with_tools = || vars("T", &["read_file"], 1);
    let mut script = start();
    script.extend([
        calls(&[("read_file", read("b"), "2")]),
        says("Found A. <tool_call>{}</tool_call>"),
    ]);
    assert_eq!(play(with_tools(), script).output()["answer"], "Found A.");

    let mut script = start();
    script.extend([says("<tool_call>{}"), says("<tool_call>{}")]);
    let played = play(with_tools(), script);
    let answer = played.output()["answer"]
        .as_str()
        .map(str::to_owned)
        .unwrap_or_default();
    assert!(answer.starts_with("Max iterations reached."), "{answer}");
    assert!(
        answer.contains("Task: T") && answer.contains("[read_file]: A"),
        "{answer}"
    );
    assert_eq!(played.payloads(EffectKind::LlmCall).len(), 3, "one retry");
}

#[test]
fn replies_that_are_no_answer_are_asked_for_again() {
    let cases = [
        (json!({"content": "  ", "finish_reason": "stop"}), "empty"),
        (
            json!({"content": "half an ans", "finish_reason": "length"}),
            "cut off",
        ),
        (
            json!({"content": "Let me read the file.", "finish_reason": "stop"}),
            "announced",
        ),
    ];
    for (reply, reason) in cases {
        let played = play(vars("T", &["read_file"], 5), vec![model(reply), says("answer")]);
        let output = played.output();
        assert_eq!(
            (&output["answer"], &output["iterations"]),
            (&json!("answer"), &json!(2))
        );
        let prompt = system(&played, 1);
        assert!(
            prompt.contains("Guidance:\n") && prompt.contains(reason),
            "{prompt}"
        );
        assert!(!system(&played, 0).contains("Guidance:"));
        assert_eq!(played.run.vars["_runtime"]["inbox"], json!([]));
    }
}

#[test]
fn an_announcement_stands_where_nothing_else_can_come() {
    let text = "Let me read the file.";
    let mut unchecked = vars("T", &["read_file"], 5);
    unchecked["_runtime"]["check_plan"] = json!(false);
    for vars in [vars("T", &[], 5), vars("T", &["read_file"], 1), unchecked] {
        assert_eq!(play(vars, vec![says(text)]).output()["answer"], text);
    }
}

#[test]
fn text_is_found_in_content_or_reasoning() {
    for (reply, expected) in [
        (json!({"content": "assistant: hi"}), "hi"),
        (json!({"content": "", "reasoning": "thought"}), "thought"),
        (
            json!({"content": "hi", "tool_calls": [{"name": "x", "arguments": [1]}]}),
            "hi",
        ),
    ] {
        assert_eq!(
            play(vars("T", &[], 5), vec![model(reply)]).output()["answer"],
            expected
        );
    }
}

#[test]
fn a_side_effect_is_not_repeated() {
    let write = |id| calls(&[("write_file", json!({"file_path": "o.txt", "content": "x"}), id)]);
    let played = play(
        vars("write it", &["write_file"], 50),
        vec![
            write("1"),
            results(&[("1", "write_file", true, "written")]),
            write("2"),
            write("3"),
            says("ok"),
        ],
    );
    let output = played.output();
    assert_eq!(output["iterations"], 4);
    assert_eq!(played.payloads(EffectKind::ToolCalls).len(), 1);
    assert!(system(&played, 2).contains("Guidance:\nThese exact tool calls"));
    assert!(
        system(&played, 3).contains("Guidance:\nThese exact tool calls"),
        "also the third time"
    );
    assert!(output["report"].as_str().is_some_and(|text| text.contains(
        "\n- actions:\n  - write_file(file_path='o.txt', mode='w', content=<str len=1 sha256=2d711642b726>)\n"
    )));

    let failed = play(
        vars("write it", &["write_file"], 50),
        vec![
            write("1"),
            results(&[("1", "write_file", false, "denied")]),
            write("2"),
            results(&[("2", "write_file", true, "written")]),
            says("ok"),
        ],
    );
    assert_eq!(
        failed.payloads(EffectKind::ToolCalls).len(),
        2,
        "what failed may be tried again"
    );
}

#[test]
fn a_task_is_delegated() {
    let arguments =
        json!({"task": "count", "context": "in src", "tools": ["read_file", "write_file", "ask_user"]});
    let played = play(
        vars("T", &["delegate_agent", "ask_user", "read_file"], 50),
        vec![
            calls(&[
                ("delegate_agent", arguments, "d1"),
                ("delegate_agent", json!({"task": " "}), "d2"),
            ]),
            Event::Result(
                EffectKind::StartSubworkflow,
                json!({"mode": "executed", "results": [{
                "call_id": "d1", "name": "delegate_agent", "success": true,
                "output": {"rendered": "seven", "answer": "seven", "sub_run_id": "s"}, "error": null}]}),
            ),
            says("seven it is"),
        ],
    );
    let payload = played.payloads(EffectKind::StartSubworkflow)[0];
    assert_eq!(payload["workflow_id"], "visual_react_agent_f_n");
    assert_eq!(
        (&payload["wrap_as_tool_result"], &payload["call_id"]),
        (&json!(true), &json!("d1"))
    );
    let child = &payload["vars"];
    assert_eq!(
        child["context"],
        json!({"task": "count\n\nContext:\nin src", "messages": []})
    );
    assert_eq!(child["_limits"], json!({"max_iterations": 10}));
    assert_eq!(
        child["_runtime"]["allowed_tools"],
        json!(["read_file"]),
        "nothing the parent lacks, no questions"
    );
    assert_eq!(child["_runtime"]["model"], "gpt-4o-mini");
    assert!(child["_runtime"]["system_prompt_extra"].is_string());
    let output = played.output();
    let seen = &output["scratchpad"]["cycles"][0]["observations"];
    assert_eq!(seen[0]["rendered"], "[delegate_agent]: seven");
    assert_eq!(
        seen[1]["rendered"],
        "[delegate_agent]: Error: delegate_agent requires a non-empty task"
    );
    assert_eq!(output["answer"], "seven it is");
}

#[test]
fn a_batch_without_results_is_reported_to_the_model() {
    let played = play(
        vars("T", &["read_file"], 50),
        vec![
            calls(&[("read_file", read("a"), "1"), ("read_file", read("b"), "2")]),
            Event::Result(
                EffectKind::ToolCalls,
                json!({"results": [{"success": true, "output": "A"}]}),
            ),
            says("end"),
        ],
    );
    let output = played.output();
    let seen = output["scratchpad"]["cycles"][0]["observations"]
        .as_array()
        .expect("list");
    assert_eq!(
        (&seen[0]["call_id"], &seen[0]["rendered"]),
        (&json!("1"), &json!("[read_file]: A"))
    );
    assert_eq!(
        seen[1]["rendered"],
        "[read_file]: Error: No result was returned for this call"
    );
}

#[test]
fn settings_reach_the_call() {
    let mut vars = vars("T", &[], 5);
    vars["context"]["messages"] = json!([{"role": "user", "content": "T"}]);
    vars["context"]["attachments"] = json!([{"$artifact": "a"}]);
    vars["_runtime"]["temperature"] = json!(1);
    vars["_runtime"]["seed"] = json!(7);
    vars["_runtime"]["audio_policy"] = json!("native");
    vars["_runtime"]["thinking"] = json!("high");
    vars["_runtime"]["system_prompt"] = json!("OWN");
    vars["_runtime"]["system_prompt_extra"] = json!("EXTRA");
    vars["_runtime"]["inbox"] = json!(["hint", {"content": "more"}]);
    let played = play(vars, vec![says("ok")]);
    let payload = played.payloads(EffectKind::LlmCall)[0];
    assert_eq!(
        payload["system_prompt"],
        "OWN\n\nGuidance:\nhint\nmore\n\nAdditional system instructions:\nEXTRA"
    );
    assert_eq!(payload["media"], json!([{"$artifact": "a"}]));
    let keys: Vec<_> = payload["params"].as_object().expect("params").keys().collect();
    assert_eq!(keys, ["temperature", "seed", "audio_policy", "trace_metadata"]);
    assert_eq!(
        payload["messages"].as_array().map(Vec::len),
        Some(1),
        "the task is not repeated"
    );
}

#[test]
fn strange_variables_do_not_stop_the_run() {
    for vars in [
        json!({}),
        json!({"context": 1, "scratchpad": [], "_runtime": "x", "_limits": null, "_temp": 0}),
        json!({"context": {"task": {"a": 1}, "messages": "x"}, "scratchpad": {"max_iterations": -1}}),
    ] {
        let played = play(vars, vec![says("ok")]);
        assert_eq!(played.run.status, RunStatus::Completed);
        assert_eq!(
            played
                .run
                .output
                .as_ref()
                .map(|output| &output["scratchpad"]["max_iterations"]),
            Some(&json!(25))
        );
    }
}
