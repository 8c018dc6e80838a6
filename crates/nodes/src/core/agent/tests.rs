use super::*;
use crate::testing::{plan_in, planned_raw};

const SUB: &str = "_temp.agent.n.sub";

fn run_vars() -> Value {
    json!({
        "_runtime": {"provider": "openai-compatible", "model": "gpt-4o-mini"},
        "_limits": {"max_iterations": 50, "max_input_tokens": null, "max_tokens": 128000},
    })
}

fn put(vars: &mut Value, path: &str, value: Value) {
    ag_kernel::vars::set_path(vars.as_object_mut().expect("object"), path, value);
}

#[test]
fn a_task_becomes_a_child_run_and_its_answer_an_output() {
    let mut vars = run_vars();
    let started = plan_in(
        &NODE,
        json!({"data": {"agentConfig": {}}}),
        json!({"prompt": "just answer"}),
        &mut vars,
    );
    let started = started.expect("plan");
    assert_eq!(started.kind, EffectKind::StartSubworkflow);
    assert_eq!(
        (started.result_key.as_deref(), started.after),
        (Some(SUB), After::Itself)
    );
    let expected = json!({
        "workflow_id": "visual_react_agent_vec-x_1_0_0_main_n",
        "vars": {
            "context": {"task": "just answer", "messages": []},
            "scratchpad": {"iteration": 0, "max_iterations": 50},
            "_runtime": {"inbox": [], "provider": "openai-compatible", "model": "gpt-4o-mini", "allowed_tools": []},
            "_temp": {},
            "_limits": {"max_iterations": 50, "max_input_tokens": null, "max_tokens": 128000},
        },
        "async": true, "wait": true, "include_traces": true,
    });
    assert_eq!(started.payload, expected);
    assert_eq!(
        vars["_flow_warnings"],
        json!(["#FALLBACK: missing provider/model; using runtime defaults"])
    );

    let call = json!({"name": "read_file", "call_id": "c1", "runtime_call_id": "r1"});
    let step = json!({"ts": "1", "effect": {"type": "tool_calls", "payload": {"tool_calls": [call]}},
        "result": {"results": [{"call_id": "c1", "name": "read_file", "success": true, "output": "o"}]}});
    let output = json!({"answer": "direct answer", "iterations": 2, "messages": [1]});
    put(
        &mut vars,
        SUB,
        json!({"sub_run_id": "S", "output": output, "node_traces": {"act": {"steps": [step]}}}),
    );
    let raw = planned_raw(&NODE, json!({}), json!({}), &mut vars)
        .expect("result")
        .0;
    assert_eq!(raw["response"], "direct answer");
    assert_eq!(raw["success"], true);
    assert_eq!(raw["tool_calls"], json!([call]));
    assert_eq!(
        raw["meta"],
        json!({"schema": "abstractcode.agent.v1.meta", "version": 1, "provider": "openai-compatible",
            "model": "gpt-4o-mini", "sub_run_id": "S", "iterations": 2, "tool_calls": 1, "tool_results": 1,
            "output_mode": "unstructured"})
    );
    assert_eq!(raw["scratchpad"]["task"], "just answer");
    assert_eq!(raw["scratchpad"]["steps"], json!([step]));
    assert_eq!(vars["_temp"]["agent"]["n"]["phase"], "done");

    let again = plan_in(&NODE, json!({}), json!({"prompt": "next"}), &mut vars).expect("plan");
    assert_eq!(
        again.payload["vars"]["context"]["task"], "next",
        "a new visit starts afresh"
    );
    assert_eq!(
        vars["_flow_warnings"].as_array().map(Vec::len),
        Some(1),
        "one warning is enough"
    );
}

#[test]
fn a_schema_asks_once_more() {
    let mut vars = run_vars();
    let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}}});
    let config = json!({"data": {"agentConfig": {"outputSchema": {"enabled": true, "jsonSchema": schema}}}});
    plan_in(&NODE, config.clone(), json!({"prompt": "colour?"}), &mut vars).expect("child");
    put(
        &mut vars,
        SUB,
        json!({"sub_run_id": "S", "output": {"answer": "The colour is teal.", "iterations": 1}}),
    );
    let asked = plan_in(&NODE, config.clone(), json!({}), &mut vars).expect("structured pass");
    let request = "Convert the Agent answer into a JSON object matching the required schema. Return JSON only.\n\n\
                   Task:\ncolour?\n\nAnswer:\nThe colour is teal.";
    let expected = json!({
        "messages": [{"role": "user", "content": request}], "system_prompt": "", "provider": "openai-compatible",
        "model": "gpt-4o-mini", "tools": [], "params": {"temperature": 0.7}, "response_schema": schema,
        "response_schema_name": "Agent_n",
    });
    assert_eq!(asked.payload, expected);
    put(
        &mut vars,
        "_temp.agent.n.structured",
        json!({"data": {"colour": "teal"}}),
    );
    let raw = planned_raw(&NODE, config, json!({}), &mut vars)
        .expect("result")
        .0;
    assert_eq!(raw["data"], json!({"colour": "teal"}));
    assert_eq!(raw["response"], r#"{"colour":"teal"}"#);
    assert_eq!(raw["meta"]["output_mode"], "structured");
}

#[test]
fn a_failed_child_has_an_empty_answer() {
    let mut vars = run_vars();
    plan_in(&NODE, json!({}), json!({"prompt": "x"}), &mut vars).expect("child");
    put(
        &mut vars,
        SUB,
        json!({"sub_run_id": "S", "output": {"result": null, "success": false, "error": "boom"}}),
    );
    let (raw, set_last) = planned_raw(&NODE, json!({}), json!({}), &mut vars).expect("result");
    assert_eq!(
        (raw["response"].as_str(), raw["success"].as_bool()),
        (Some(""), Some(true))
    );
    assert!(!set_last);
}

#[test]
fn the_turn_joins_the_conversation() {
    let mut vars = run_vars();
    let values = json!({"prompt": "first", "include_context": true});
    plan_in(&NODE, json!({}), values.clone(), &mut vars).expect("child");
    put(
        &mut vars,
        SUB,
        json!({"sub_run_id": "S", "output": {"answer": "one"}}),
    );
    planned_raw(&NODE, json!({}), json!({}), &mut vars).expect("result");
    let metadata = |part: &str| json!({"kind": "agent_turn", "node_id": "n", "sub_run_id": "S", "message_id": format!("agent:S:n:{part}")});
    let turn = json!([
        {"role": "user", "content": "first", "metadata": metadata("task")},
        {"role": "assistant", "content": "one", "metadata": metadata("answer")},
    ]);
    assert_eq!(vars["context"]["messages"], turn);
    let second = plan_in(&NODE, json!({}), values, &mut vars).expect("child");
    assert_eq!(second.payload["vars"]["context"]["messages"], turn);
}

#[test]
fn nothing_to_ask_is_an_output_not_a_failure() {
    let mut vars = json!({});
    let values = json!({"prompt": "x", "provider": "__default__", "model": "m"});
    let (raw, set_last) = planned_raw(&NODE, json!({}), values, &mut vars).expect("result");
    assert!(set_last);
    assert_eq!(
        raw["response"],
        "Agent configuration error: missing provider/model"
    );
    assert_eq!(
        (&raw["meta"]["provider"], &raw["success"]),
        (&json!("unknown"), &json!(false))
    );
    assert_eq!(
        vars["_flow_error"],
        "Agent node missing provider/model configuration"
    );
}

#[test]
fn memory_is_read_before_the_child_starts() {
    let mut vars = run_vars();
    let values = json!({"prompt": "who?", "use_kg_memory": true});
    let query = plan_in(&NODE, json!({}), values, &mut vars).expect("memory");
    assert_eq!(
        (query.kind, query.after),
        (EffectKind::MemoryKgQuery, After::Itself)
    );
    put(
        &mut vars,
        "_temp.memory_sources.n.kg_query",
        json!({"active_memory_text": "## KG ACTIVE MEMORY\nfact"}),
    );
    // The second visit may resolve other inputs: those of the first one hold.
    let started = plan_in(&NODE, json!({}), json!({"prompt": "other"}), &mut vars).expect("child");
    let context =
        json!({"task": "who?", "messages": [{"role": "system", "content": "## KG ACTIVE MEMORY\nfact"}]});
    assert_eq!(started.payload["vars"]["context"], context);
}
