//! Effect nodes (spec §3.3, §4.3, §6.6).

use serde_json::{Value, json};

use crate::{
    catalogue::object,
    driver::{drive, program, run},
    flow::{end, exec, flow, get, set, start},
};

fn answer(id: &str, data: Value) -> Value {
    exec(id, "answer_user", &["message"], data)
}

#[test]
fn payloads_name_their_successor() {
    let nodes = [
        start(),
        answer("a", json!({"pinDefaults": {"message": "hi"}})),
        end(&["m"]),
    ];
    let ended = run(
        &flow(
            &nodes,
            "start.exec-out > a.exec-in; a.exec-out > end.exec-in; a.message > end.m",
        ),
        json!({}),
    );
    let (node, effect, next) = &ended.effects[0];
    assert_eq!((node.as_str(), next.as_deref()), ("a", Some("end")));
    assert_eq!(effect.result_key.as_deref(), Some("_temp.effects.a"));
    assert_eq!(
        Value::Object(effect.payload.clone()),
        json!({"type": "answer_user", "message": "hi", "resume_to_node": "end"})
    );
    assert_eq!(ended.output, Some(json!({"m": "hi", "success": true})));
    // Effects leave the ambient value alone.
    let ended = run(&flow(&nodes, "start.exec-out > a.exec-in"), json!({"k": 1}));
    assert_eq!(ended.effects[0].1.payload["resume_to_node"], json!(null));
    assert_eq!(ended.vars["_last_output"], json!({"k": 1}));
}

#[test]
fn outputs_are_empty_before_the_effect_and_kept_after_it() {
    let nodes = [
        start(),
        exec(
            "each",
            "loop",
            &["items"],
            json!({"pinDefaults": {"items": [1, 2]}}),
        ),
        set("before", "log"),
        answer("a", json!({})),
        get("log", "log"),
        end(&["log", "m"]),
    ];
    let edges = "start.exec-out > each.exec-in; each.loop > before.exec-in; before.exec-out > a.exec-in; each.done > end.exec-in
        a.result > before.value; each.item > a.message; log.value > end.log; a.message > end.m";
    let ended = run(&flow(&nodes, edges), json!({}));
    // In the second pass the pin still holds the first result; in the first pass there was none at all.
    let first = json!({"type": "answer_user", "message": "1", "resume_to_node": null});
    assert_eq!(
        ended.output,
        Some(json!({"log": first, "m": "2", "success": true}))
    );
}

#[test]
fn output_keys_write_the_main_output() {
    let nodes = [
        start(),
        answer(
            "a",
            json!({"outputKey": "said.last", "pinDefaults": {"message": "hi"}}),
        ),
        get("g", "said"),
        end(&["g"]),
    ];
    let ended = run(
        &flow(
            &nodes,
            "start.exec-out > a.exec-in; a.exec-out > end.exec-in; g.value > end.g",
        ),
        json!({}),
    );
    assert_eq!(ended.output, Some(json!({"g": {"last": "hi"}, "success": true})));
}

#[test]
fn nodes_may_need_several_effects() {
    let nodes = [
        start(),
        exec("ag", "agent", &[], json!({})),
        end(&["message", "m"]),
    ];
    let ended = run(
        &flow(
            &nodes,
            "start.exec-out > ag.exec-in; ag.exec-out > end.exec-in; ag.message > end.m",
        ),
        json!({}),
    );
    let keys: Vec<_> = ended
        .effects
        .iter()
        .map(|(_, effect, next)| (effect.result_key.as_deref(), next.as_deref()))
        .collect();
    assert_eq!(
        keys,
        [
            (Some("_temp.phases.p0"), Some("ag")),
            (Some("_temp.phases.p1"), Some("ag"))
        ]
    );
    assert_eq!(ended.effects[0].1.payload.get("resume_to_node"), None);
    assert_eq!(
        ended.output,
        Some(json!({"message": "done", "m": "done", "success": true}))
    );
    let terminal = run(&flow(&nodes, "start.exec-out > ag.exec-in"), json!({}));
    assert_eq!(
        terminal.output,
        Some(json!({"success": true, "result": {"message": "done"}}))
    );
}

#[test]
fn listeners_wait_again_after_each_branch() {
    let nodes = [exec("on", "on_event", &[], json!({})), answer("a", json!({}))];
    let program = program(&flow(&nodes, "on.exec-out > a.exec-in; on.message > a.message"));
    let mut events = ["one", "two"].into_iter();
    let ended = drive(&program, object(json!({})), 100, &mut |node, effect| match node {
        "on" => events.next().map(|text| json!({"message": text})),
        _ => Some(Value::Object(effect.payload.clone())),
    });
    let nodes: Vec<_> = ended.effects.iter().map(|(node, _, _)| node.as_str()).collect();
    assert_eq!(nodes, ["on", "a", "on", "a", "on"]);
    assert_eq!(ended.messages(), ["one", "two"]);
    assert_eq!(
        Value::Object(ended.effects[0].1.payload.clone()),
        json!({"name": "e", "resume_to_node": "a"})
    );
    assert_eq!(
        ended.vars["_temp"]["_control"],
        json!({"stack": ["on"], "frames": {"on": {"kind": "on_event"}}})
    );
}
