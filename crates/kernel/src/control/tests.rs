//! Kernel spec §4: pause, un-pause, cancel, schedules.

use ag_types::{EffectKind, RunStatus, Timestamp, Wait, WaitReason};
use serde_json::{Value, json};

use super::ScheduleUpdate;
use crate::{
    Tick,
    testkit::{Kit, NOW, NOW_TEXT, RUN, Scripted, records, rows, run_at, steps, tick_at},
    vars,
};

fn waiting(reason: WaitReason, key: Option<&str>) -> Tick {
    let mut tick = tick_at("n");
    let mut wait = Wait::new(reason, key.map(str::to_owned));
    wait.resume_to_node = Some("next".into());
    tick.run.status = RunStatus::Waiting;
    tick.run.waiting = Some(wait);
    tick
}

fn with_status(status: RunStatus) -> Tick {
    let mut tick = tick_at("n");
    tick.run.status = status;
    tick
}

fn paused(mut tick: Tick) -> Tick {
    assert!(tick.pause(None, NOW));
    tick
}

fn control(tick: &Tick) -> Value {
    vars::get_path(&tick.run.vars, "_runtime.control")
        .cloned()
        .unwrap_or_default()
}

#[test]
fn who_can_be_paused() {
    for (what, mut tick, applies) in [
        ("running", tick_at("n"), true),
        ("waits for a time", waiting(WaitReason::Until, None), true),
        (
            "waits for an event",
            waiting(WaitReason::Event, Some("evt:a")),
            true,
        ),
        (
            "waits for a child",
            waiting(WaitReason::Subworkflow, Some("subworkflow:x")),
            true,
        ),
        (
            "waits for a worker",
            waiting(WaitReason::Job, Some("tool_calls:x")),
            true,
        ),
        ("asks a person", waiting(WaitReason::User, Some("user:x")), false),
        (
            "asks for an approval",
            waiting(WaitReason::User, Some("tool_approval:x")),
            false,
        ),
        ("asks without a key", waiting(WaitReason::User, None), false),
        ("paused", paused(tick_at("n")), false),
        ("completed", with_status(RunStatus::Completed), false),
        ("failed", with_status(RunStatus::Failed), false),
        ("cancelled", with_status(RunStatus::Cancelled), false),
    ] {
        let before = tick.run.clone();
        assert_eq!(tick.pause(Some("lunch"), NOW), applies, "{what}");
        if applies {
            let expected = json!({"paused": true, "paused_at": NOW_TEXT, "pause_reason": "lunch"});
            assert_eq!(control(&tick), expected, "{what}");
        } else {
            assert_eq!(tick.run, before, "{what}: nothing changes");
        }
        assert!(!tick.has_writes(), "{what}: a pause leaves no record");
    }
}

#[test]
fn a_running_run_rests_on_a_pause_wait_and_goes_on_where_it_was() {
    let mut tick = paused(tick_at("n"));
    let wait = serde_json::to_string(&tick.run.waiting).expect("wait");
    let expected = format!(
        r#"{{"reason":"user","wait_key":"pause:{RUN}","until":null,"resume_to_node":"n","result_key":null,"prompt":"Paused","choices":null,"allow_free_text":false,"details":{{"kind":"pause"}}}}"#
    );
    assert_eq!(wait, expected);
    assert_eq!(tick.run.status, RunStatus::Waiting);

    let later = NOW.plus_micros(1_000_000);
    assert!(tick.unpause(later));
    assert_eq!(
        (tick.run.status, tick.run.current_node.as_str()),
        (RunStatus::Running, "n")
    );
    assert_eq!(tick.run.waiting, None);
    assert_eq!(
        control(&tick),
        json!({"paused_at": NOW_TEXT, "resumed_at": later.to_string()})
    );
    assert!(!tick.unpause(later), "not paused any more");
    assert!(!tick.has_writes());
}

#[test]
fn other_waits_keep_their_wait_through_a_pause() {
    let until = NOW.plus_micros(5);
    let mut tick = waiting(WaitReason::Until, None);
    tick.run.waiting.as_mut().expect("wait").until = Some(until);
    let wait = tick.run.waiting.clone();
    tick.pause(None, NOW);
    assert_eq!(tick.run.waiting, wait);
    assert!(!tick.wake_if_due(until), "a paused run does not wake");
    tick.unpause(until);
    assert_eq!(tick.run.waiting, wait);
    assert!(tick.wake_if_due(until));
    assert_eq!(tick.run.current_node, "next");
}

#[test]
fn a_paused_run_refuses_answers() {
    let tick = paused(waiting(WaitReason::Event, Some("evt:a")));
    assert_eq!(tick.resumable(None).unwrap_err().to_string(), "Run is paused");
    assert_eq!(
        tick.resumable(Some("evt:a")).unwrap_err().to_string(),
        "Run is paused"
    );
}

/// Whether the outside was called is known to the driver alone: a pause must not turn a call that a crashed holder
/// may have made into one that certainly was not made.
#[test]
fn a_pause_says_nothing_about_the_open_call() {
    let flow = Scripted::default().effect("n", EffectKind::LlmCall, json!({"prompt": "hi"}), Some("end"));
    for (called, attempts) in [(true, 2), (false, 1)] {
        let kit = Kit::at(NOW);
        let mut tick = tick_at("n");
        steps(&mut tick, &flow, &kit);
        tick.mark_called();
        if !called {
            tick.mark_not_called();
        }
        tick.pause(None, NOW);
        tick.unpause(NOW);
        steps(&mut tick, &flow, &kit);
        let open = tick.aux.open.as_ref().expect("open");
        assert_eq!(open.attempt, attempts);
        assert_eq!(
            records(&mut tick).len() as u32,
            attempts,
            "one `started` record per attempt"
        );
    }
}

#[test]
fn cancel_ends_every_live_run_with_its_reason() {
    for (what, mut tick) in [
        ("running", tick_at("n")),
        ("waiting", waiting(WaitReason::User, Some("user:x"))),
        ("paused", paused(tick_at("n"))),
        ("paused in a wait", paused(waiting(WaitReason::Event, Some("e")))),
    ] {
        for (reason, text) in [
            (Some("enough"), "enough"),
            (None, "Cancelled"),
            (Some(""), "Cancelled"),
        ] {
            let mut tick = Tick::new(
                tick.run.clone(),
                tick.aux.clone(),
                0,
                std::sync::Arc::new(crate::testkit::SeqIds::default()),
            );
            assert!(tick.cancel(reason, NOW), "{what}");
            assert_eq!(tick.run.status, RunStatus::Cancelled);
            assert_eq!(tick.run.error.as_deref(), Some(text), "{what}");
            assert!(tick.run.waiting.is_none() && !tick.run.is_paused(), "{what}");
            assert_eq!(
                rows(&records(&mut tick)),
                ["n completed status=cancelled"],
                "{what}"
            );
            assert!(!tick.cancel(reason, NOW), "{what}: once");
            assert!(!tick.has_writes());
        }
        tick.take_writes();
    }
    for status in [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled] {
        let mut tick = with_status(status);
        assert!(!tick.cancel(Some("late"), NOW));
        assert!(!tick.unpause(NOW));
        assert_eq!((tick.run.status, tick.run.error.as_deref()), (status, None));
    }
}

#[test]
fn cancel_drops_what_was_open() {
    let flow = Scripted::default().effect("n", EffectKind::LlmCall, json!({"prompt": "hi"}), Some("end"));
    let kit = Kit::at(NOW);
    let mut tick = tick_at("n");
    steps(&mut tick, &flow, &kit);
    tick.aux.held.push(json!({"sub_run_id": "x"}));
    tick.cancel(None, NOW);
    assert_eq!((tick.aux.open.is_none(), tick.aux.held.len()), (true, 0));
    assert_eq!(
        rows(&records(&mut tick)),
        ["n started llm_call", "n completed status=cancelled"]
    );
    let late = tick.apply(
        crate::Outcome::Done {
            result: json!({"content": "late"}),
            state: None,
        },
        vec![],
        &kit.env(),
    );
    assert_eq!(late, crate::Stepped::Moved);
    assert_eq!(
        tick.run.status,
        RunStatus::Cancelled,
        "a late end changes nothing"
    );
    assert!(!tick.has_writes());
}

fn scheduled(interval: &str, node: &str) -> Tick {
    let mut tick = tick_at(node);
    tick.run = run_at(
        node,
        json!({"_meta": {"schedule": {"kind": "scheduled_run", "interval": interval}}}),
    );
    let mut wait = Wait::new(WaitReason::Until, None);
    wait.until = Some(NOW.plus_micros(3_600_000_000));
    tick.run.status = RunStatus::Waiting;
    tick.run.waiting = Some(wait);
    tick
}

fn until(tick: &Tick) -> Option<Timestamp> {
    tick.run.waiting.as_ref().and_then(|wait| wait.until)
}

#[test]
fn schedules_are_edited_and_triggered() {
    let update = |apply| ScheduleUpdate {
        interval: "20m",
        interval_micros: 1_200_000_000,
        apply_immediately: apply,
        command_id: Some("c"),
        requested_run_id: RUN,
    };
    let moved = Some(NOW.plus_micros(1_200_000_000));
    let stays = Some(NOW.plus_micros(3_600_000_000));
    for (node, apply, due) in [
        ("wait_interval", true, moved),
        ("wait_interval", false, stays),
        ("wait_start", true, stays),
    ] {
        let mut tick = scheduled("1h", node);
        assert_eq!(tick.update_schedule(&update(apply), NOW), Ok(()));
        assert_eq!(until(&tick), due, "{node} {apply}");
        assert_eq!(
            vars::text_at(&tick.run.vars, "_meta.schedule.interval"),
            Some("20m")
        );
        let marker = vars::get_path(&tick.run.vars, "_runtime.last_schedule_update").expect("marker");
        assert_eq!(marker["command_id"], "c");
    }
    let refusal = scheduled(" ", "wait_interval")
        .update_schedule(&update(true), NOW)
        .unwrap_err();
    assert!(refusal.starts_with("update_schedule requires a recurrent scheduled run"));
    let refusal = tick_at("n").update_schedule(&update(true), NOW).unwrap_err();
    assert!(refusal.starts_with("update_schedule is only supported for scheduled runs"));

    let mut tick = scheduled("1h", "wait_interval");
    assert!(tick.trigger_schedule(NOW));
    assert_eq!(until(&tick), Some(NOW));
    assert!(
        !scheduled("", "wait_start").trigger_schedule(NOW),
        "a one-time schedule is not triggered"
    );
    assert!(
        !waiting(WaitReason::Until, None).trigger_schedule(NOW),
        "no schedule"
    );
}
