//! Memory work between two steps: what one run asks of another's conversation, and compaction by command (D2a).

use std::sync::Arc;

use ag_engine::codec;
use ag_kernel::{Interrupt, RunAux, StepEnv, StepPlan, Workflow};
use ag_store::{Counters, NewRun, Placement, RunRow, Start};
use ag_types::{Effect, EffectKind, RunHead, RunId, RunKey, RunState, RunStatus};
use serde_json::{Value, json};

use super::Place;
use crate::support::{Embedded, Setup, flow::asking, output};

const ASKER: &str = "asker";

/// Performs the effect that its variables name and ends with the result.
struct Asker;

impl Workflow for Asker {
    fn entry_node(&self) -> &str {
        "ask"
    }

    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        if run.current_node == "done" {
            let result = run.vars.get("result").cloned().unwrap_or_default();
            return Ok(StepPlan::complete(json!({"result": result})));
        }
        let kind = run.vars["kind"]
            .as_str()
            .and_then(EffectKind::parse)
            .expect("kind");
        let payload = run.vars["payload"].as_object().cloned().expect("payload");
        let effect = Effect {
            kind,
            payload,
            result_key: Some("result".to_owned()),
        };
        Ok(StepPlan::effect(effect, Some("done".to_owned())))
    }
}

async fn gateway(place: &Place) -> Embedded {
    let setup = Setup {
        natives: vec![(ASKER, Arc::new(Asker))],
        ..place.setup()
    };
    let gateway = place.gateway(setup).await;
    gateway.install(&[("main", asking())]).await;
    gateway
}

async fn ask(gateway: &Embedded, kind: &str, target: RunId, mut payload: Value) -> RunId {
    payload["target_run_id"] = target.to_string().into();
    let now = gateway.deps.clock.now();
    let head = RunHead {
        run_id: gateway.deps.ids.run_id(),
        workflow_id: ASKER.into(),
        actor_id: Some("gateway".into()),
        session_id: Some("s".into()),
        parent_run_id: None,
        created_at: now,
    };
    let state = RunState {
        head: head.clone(),
        status: RunStatus::Running,
        current_node: "ask".to_owned(),
        vars: json!({"kind": kind, "payload": payload})
            .as_object()
            .cloned()
            .expect("object"),
        waiting: None,
        output: None,
        error: None,
        updated_at: now,
    };
    let run = NewRun {
        columns: codec::encode(&state, &RunAux::default(), Counters::default()),
        head,
        pool: "default".into(),
        bundle_sha256: None,
        segments: vec![],
        last_seq: 0,
        placement: Placement::Ready,
    };
    let id = state.head.run_id;
    let start = Start {
        key: None,
        generation: None,
        runs: vec![run],
        artifacts: vec![],
        owners: vec![],
        memory: vec![],
        mail: vec![],
        now,
    };
    gateway
        .deps
        .store
        .start(&gateway.scope, start)
        .await
        .expect("start");
    let key = RunKey {
        run: id,
        plane: gateway.scope.plane,
    };
    gateway.deps.bell.ring("default", &[key]).await;
    id
}

fn contents(row: &RunRow) -> Vec<String> {
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("vars");
    let messages = vars["context"]["messages"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    messages
        .iter()
        .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_is_asked_and_answers_whatever_it_rests_on() {
    let place = Place::new();
    let gateway = gateway(&place).await;
    let target = gateway.run("main", json!({})).await;
    gateway.waiting(target).await;

    let kept = json!({"note": "remember me", "keep_in_context": true});
    let asker = gateway
        .ended(ask(&gateway, "memory_note", target, kept).await)
        .await;
    let result = output(&asker)["result"].clone();
    assert_eq!(
        result["results"][0]["meta"]["kept_in_context"],
        json!({"inserted": 1, "skipped": 0})
    );
    assert_eq!(
        gateway.ledger(asker.head.run_id).await[..2],
        ["ask:started(memory_note)", "ask:completed(memory_note)"],
        "no waiting record"
    );
    let row = gateway.row(target).await;
    assert_eq!(contents(&row), ["[MEMORY NOTE]\nremember me"]);
    assert_eq!(
        row.columns.status,
        RunStatus::Waiting,
        "its question still stands"
    );

    // A span of a third owner, put back into the target: it is there already.
    let span = result["results"][0]["meta"]["span_id"].clone();
    let asker = ask(
        &gateway,
        "memory_rehydrate",
        target,
        json!({"span_ids": [span, "ghost"]}),
    )
    .await;
    let result = output(&gateway.ended(asker).await)["result"].clone();
    assert_eq!((&result["inserted"], &result["skipped"]), (&json!(0), &json!(1)));
    assert_eq!(result["artifacts"][1]["error"], "missing_messages");

    gateway
        .command(target, "resume", json!({"payload": {"response": "x"}}))
        .await;
    gateway.ended(target).await;
    let asker = ask(&gateway, "memory_compact", target, json!({})).await;
    let row = gateway.ended(asker).await;
    assert_eq!(row.columns.status, RunStatus::Failed);
    assert_eq!(
        row.columns.error.as_deref(),
        Some("Effect failed after 1 attempts: target run has ended")
    );
    gateway.stop().await;
}

/// A letter to a run that has ended meanwhile is dropped; the asker must not rest for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_asker_notices_that_nobody_will_answer() {
    let place = Place::new();
    let gateway = gateway(&place).await;
    let target = gateway.run("main", json!({})).await;
    gateway.waiting(target).await;
    for round in 0..4 {
        let cancelled = gateway.run("main", json!({})).await;
        gateway.waiting(cancelled).await;
        let payload = json!({"span_ids": ["x"]});
        let id = format!("x{round}");
        let (asker, posted) = tokio::join!(
            ask(&gateway, "memory_rehydrate", cancelled, payload),
            gateway.post(&id, cancelled, "cancel", json!({})),
        );
        posted.expect("posted");
        let row = gateway.ended(asker).await;
        // Whichever came first.
        let answered = row.columns.status == RunStatus::Completed;
        let told =
            row.columns.error.as_deref() == Some("Effect failed after 1 attempts: target run has ended");
        assert!(answered || told, "{:?}", row.columns.error);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_by_command_leaves_records_beside_the_workflow() {
    let place = Place::new();
    let gateway = gateway(&place).await;
    let messages = json!([{"role": "user", "content": "one"}]);
    let plain = gateway
        .run("main", json!({"context": {"messages": messages}}))
        .await;
    let schedule = json!({"schedule": {"kind": "scheduled_run", "interval": "1h"}});
    let scheduled = gateway
        .run(
            "main",
            json!({"_meta": schedule, "context": {"messages": messages}}),
        )
        .await;
    let silent = gateway.run("main", json!({"_meta": schedule})).await;
    for run in [plain, scheduled, silent] {
        gateway.waiting(run).await;
    }
    for (id, run, refusal) in [
        (
            "c-plain",
            plain,
            "compact_memory is only supported for scheduled runs (or runs inside a scheduled run tree)",
        ),
        (
            "c-silent",
            silent,
            "No compactable run found (no context.messages in the scheduled run tree)",
        ),
    ] {
        gateway
            .post(id, run, "compact_memory", json!({}))
            .await
            .expect("post");
        assert_eq!(gateway.settled(id).await.outcome.as_deref(), Some(refusal));
    }
    let before = gateway.ledger(scheduled).await.len();
    gateway
        .post("c-1", scheduled, "compact_memory", json!({"preserve_recent": 3}))
        .await
        .expect("post");
    let row = gateway
        .until(scheduled, "marked", |row| {
            row.columns.vars.contains("last_compact_memory")
        })
        .await;
    assert_eq!(gateway.settled("c-1").await.outcome, None);
    assert_eq!(
        gateway.ledger(scheduled).await[before..],
        [
            "compact_memory:started(memory_compact)",
            "compact_memory:completed(memory_compact)"
        ]
    );
    assert_eq!(
        row.columns.status,
        RunStatus::Waiting,
        "its question still stands"
    );
    let vars: Value = serde_json::from_str(&row.columns.vars).expect("vars");
    let mark = &vars["_runtime"]["last_compact_memory"];
    assert_eq!(
        (&mark["command_id"], &mark["target_run_id"]),
        (&json!("c-1"), &json!(scheduled.to_string()))
    );
    gateway.stop().await;
}
