use serde_json::json;

use super::*;
use crate::testing::{Answer, NOW, eval, function_in, function_with, mapped, plan_in, planned_payload};

#[test]
fn entries_pass_their_input_on() {
    let mut vars = json!({"a": 1, "_temp": {}});
    let shape = json!({"outputs": ["a", "b", "c"], "pinDefaults": {"a": 9, "c": 3}});
    let start =
        function_in(&on_flow_start::NODE, shape, json!({}), Answer::none(), &mut vars).expect("start");
    assert_eq!(start.value, json!({"a": 1, "b": null, "c": 3}));
    assert_eq!(vars, json!({"a": 1, "_temp": {}}));
    let all = function_in(
        &on_flow_start::NODE,
        json!({"outputs": []}),
        json!({}),
        Answer::none(),
        &mut vars,
    );
    assert_eq!(all.expect("start").value, json!({"a": 1}));

    let run = |node, shape, values| {
        function_with(node, shape, values, Answer::none())
            .expect("runs")
            .value
    };
    let channel = json!({"eventConfig": {"channel": "ops"}});
    assert_eq!(
        run(&on_agent_message::NODE, channel, json!({"message": "yo"})),
        json!({"sender": "unknown", "message": "yo", "channel": "ops"})
    );
    assert_eq!(
        run(&on_user_request::NODE, json!({}), json!({})),
        json!({"message": "", "context": {}})
    );
}

#[test]
fn local_time_has_zone_and_offset() {
    let found = eval(&system_datetime::NODE, json!({}), json!({})).expect("time");
    let expected = json!({"iso": "2026-11-20T11:32:02.790001+00:00", "timezone": "UTC", "utc_offset_minutes": 0, "locale": "en_US"});
    assert_eq!(found, expected);
}

#[test]
fn waits() {
    let mut vars = json!({});
    let wait = plan_in(
        &on_schedule::NODE,
        json!({"eventConfig": {"schedule": "0.4s"}}),
        json!({}),
        &mut vars,
    );
    let wait = wait.expect("plan");
    assert_eq!(
        (wait.payload, wait.push_control),
        (json!({"until": NOW.plus_micros(400_000).to_string()}), true)
    );
    let once = json!({"eventConfig": {"schedule": "0.4s", "recurrent": false}});
    assert!(
        !plan_in(&on_schedule::NODE, once, json!({}), &mut vars)
            .expect("plan")
            .push_control
    );

    for (shape, values, until) in [
        (
            json!({}),
            json!({"duration": 0.6}),
            NOW.plus_micros(600_000).to_string(),
        ),
        (json!({}), json!({"duration": "soon"}), NOW.to_string()),
        (json!({}), json!({}), NOW.to_string()),
        (
            json!({"effectConfig": {"durationType": "hours"}}),
            json!({"duration": 5}),
            NOW.plus_micros(18_000_000_000).to_string(),
        ),
        (
            json!({"effectConfig": {"durationType": "timestamp"}}),
            json!({"duration": "2020-01-01T00:00:00Z"}),
            "2020-01-01T00:00:00Z".into(),
        ),
    ] {
        assert_eq!(
            planned_payload(&wait_until::NODE, shape, values),
            json!({"type": "wait_until", "until": until})
        );
    }

    let values = json!({"event_key": "k", "prompt": "Approve?", "choices": ["yes", " ", "no", 3], "allow_free_text": false});
    let wait = plan_in(
        &wait_event::NODE,
        json!({"reads": ["event_key"]}),
        values,
        &mut vars,
    )
    .expect("plan");
    let expected = json!({"type": "wait_event", "wait_key": "k", "prompt": "Approve?", "choices": ["yes", "no"], "allow_free_text": false});
    assert_eq!(wait.payload, expected);
    let outputs = mapped(&wait_event::NODE, json!({}), vars, json!({"choice": "yes"}));
    assert_eq!(
        outputs,
        json!({"event_key": "k", "event_data": {"choice": "yes"}})
    );
}

#[test]
fn events_are_named_and_numbered() {
    let mut vars = json!({});
    let named = json!({"effectConfig": {"name": "tick", "sessionId": ""}});
    let run = "00000000-0000-0000-0000-000000000000";
    for (values, body, seq) in [
        (json!({"payload": 1}), json!({"value": 1}), 1),
        (json!({"payload": {"n": 1}}), json!({"n": 1}), 2),
        (json!({"payload": null}), json!({}), 3),
    ] {
        let emitted = plan_in(&emit_event::NODE, named.clone(), values, &mut vars).expect("plan");
        let expected = json!({"scope": "session", "name": "tick", "payload": body,
            "event_id": format!("{run}:n:{seq}"), "max_steps": 0});
        assert_eq!(emitted.payload, expected);
    }
    let error = plan_in(&emit_event::NODE, json!({}), json!({}), &mut vars).expect_err("no name");
    assert_eq!(error, "ValueError: emit_event node 'n' missing event name");

    let listener = plan_in(
        &on_event::NODE,
        json!({"eventConfig": {"name": "", "scope": "odd"}}),
        json!({}),
        &mut vars,
    );
    let listener = listener.expect("plan");
    assert_eq!(
        listener.payload,
        json!({"scope": "session", "name": "*", "resume_to_node": "next"})
    );
    assert!(listener.push_control);
    let envelope = json!({"event_id": "e", "name": "x", "payload": {"a": 1}});
    let outputs = mapped(&on_event::NODE, json!({}), json!({}), envelope.clone());
    assert_eq!(
        outputs,
        json!({"event": envelope, "payload": {"a": 1}, "event_id": "e", "name": "x"})
    );
}
