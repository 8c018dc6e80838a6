//! What the recorded runs do not show: retries, guards, built-ins, settings, broken input.

use ag_types::{EffectKind, RunStatus};
use serde_json::{Value, json};

use super::{
    driver::{Event, calls, model, play, results, says, vars},
    read, system,
};

#[test]
fn the_queue_is_cut_before_built_ins() {
    let played = play(
        &vars("T", &["read_file", "ask_user", "remember_note"], 50),
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
    assert_eq!(play(&with_tools(), script).output()["answer"], "Found A.");

    let mut script = start();
    script.extend([says("<tool_call>{}"), says("<tool_call>{}")]);
    let played = play(&with_tools(), script);
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
        let played = play(&vars("T", &["read_file"], 5), vec![model(reply), says("answer")]);
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
        assert_eq!(play(&vars, vec![says(text)]).output()["answer"], text);
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
            play(&vars("T", &[], 5), vec![model(reply)]).output()["answer"],
            expected
        );
    }
}

#[test]
fn a_side_effect_is_not_repeated() {
    let write = |id| calls(&[("write_file", json!({"file_path": "o.txt", "content": "x"}), id)]);
    let played = play(
        &vars("write it", &["write_file"], 50),
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
        &vars("write it", &["write_file"], 50),
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
        &vars("T", &["delegate_agent", "ask_user", "read_file"], 50),
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
        &vars("T", &["read_file"], 50),
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
    let played = play(&vars, vec![says("ok")]);
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
        let played = play(&vars, vec![says("ok")]);
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

/// Anthropic refuses the results of calls whose reasoning does not come back; nobody else sends any.
#[test]
fn reasoning_comes_back_with_the_results() {
    let blocks = json!([{"type": "thinking", "thinking": "hm", "signature": "s"}]);
    let call = json!({"name": "read_file", "arguments": {"file_path": "a"}, "call_id": "c1"});
    let played = play(
        &vars("t", &["read_file"], 50),
        vec![
            model(
                json!({"content": null, "tool_calls": [call], "finish_reason": "tool_use", "thinking_blocks": blocks}),
            ),
            results(&[("c1", "read_file", true, "x")]),
            calls(&[("read_file", json!({"file_path": "b"}), "c2")]),
            results(&[("c2", "read_file", true, "y")]),
            says("done"),
        ],
    );
    let last = &played.payloads(EffectKind::LlmCall)[2]["messages"];
    assert_eq!(last[1]["thinking_blocks"], blocks);
    assert_eq!(last[3].get("thinking_blocks"), None);
}
