//! Approved tool batches (architecture D9): mail while they run, crashes in their middle.

use std::sync::Arc;

use ag_kernel::{Interrupt, StepEnv, StepPlan, Workflow};
use ag_types::{Effect, EffectKind, RunId, RunState, RunStatus};
use serde_json::{Value, json};

use super::{Place, process};
use crate::support::{
    Embedded, Setup,
    flow::{line, subflow},
    output,
    tools::FakeTools,
};

/// `act` asks for a tool, `end` completes with its results.
struct Acting;

impl Workflow for Acting {
    fn entry_node(&self) -> &str {
        "act"
    }
    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        if run.current_node == "end" {
            return Ok(StepPlan::complete(json!({"r": run.vars.get("r")})));
        }
        let payload = json!({"tool_calls": [{"name": "t", "call_id": "1"}]});
        let effect = Effect {
            kind: EffectKind::ToolCalls,
            payload: payload.as_object().cloned().unwrap_or_default(),
            result_key: Some("r".into()),
        };
        Ok(StepPlan::effect(effect, Some("end".into())))
    }
}

const ROWS: [&str; 4] = [
    "act:started(tool_calls)",
    "act:waiting(tool_calls)",
    "act:completed(tool_calls)",
    "act:completed(resume)",
];

fn setup(place: &Place, tools: &Arc<FakeTools>) -> Setup {
    let acting: Arc<dyn Workflow> = Arc::new(Acting);
    Setup {
        tools: Some(tools.clone()),
        natives: vec![("acting", acting)],
        ..place.setup()
    }
}

/// A run whose approved batch is in the hands of the tools.
async fn approved(gateway: &Embedded, tools: &FakeTools) -> RunId {
    gateway
        .install(&[("main", line(vec![subflow("s", "acting")]))])
        .await;
    let root = gateway.run("main", json!({})).await;
    let run = gateway.children(root, 1).await[0];
    gateway.waiting(run).await;
    gateway
        .command(run, "resume", json!({"payload": {"approved": true}}))
        .await;
    tools.running(1).await;
    run
}

fn results() -> Value {
    json!({"r": {"mode": "executed", "results": ["done"]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_applies_at_the_end_of_the_batch() {
    let (place, tools) = (Place::new(), Arc::new(FakeTools::default()));
    let gateway = place.gateway(setup(&place, &tools)).await;
    let run = approved(&gateway, &tools).await;
    let again = gateway
        .post("again", run, "resume", json!({"payload": {"approved": true}}))
        .await;
    assert!(again.expect("post").accepted);
    gateway.command(run, "pause", json!({})).await;
    tools.gate.add_permits(1);
    let row = gateway
        .until(run, "paused or past it", |row| {
            row.columns.paused || row.columns.status.is_terminal()
        })
        .await;
    assert_eq!(
        (row.columns.status, row.columns.current_node.as_str()),
        (RunStatus::Waiting, "end")
    );
    assert_eq!(gateway.ledger(run).await, ROWS);
    assert_eq!(
        gateway.settled("again").await.outcome.as_deref(),
        Some("Run is not waiting")
    );
    gateway.command(run, "resume", json!({})).await;
    assert_eq!(output(&gateway.ended(run).await), results());
    assert_eq!(tools.begun().len(), 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_was_taken_back_does_not_apply() {
    let (place, tools) = (Place::new(), Arc::new(FakeTools::default()));
    let gateway = place.gateway(setup(&place, &tools)).await;
    let run = approved(&gateway, &tools).await;
    gateway.command(run, "pause", json!({"reason": "hm"})).await;
    gateway.command(run, "resume", json!({})).await;
    tools.gate.add_permits(1);
    let row = gateway
        .until(run, "paused or past it", |row| {
            row.columns.paused || row.columns.status.is_terminal()
        })
        .await;
    assert_eq!(row.columns.status, RunStatus::Completed);
    assert_eq!(output(&row), results());
    gateway.stop().await;
}

#[test]
fn a_crash_in_the_middle_runs_the_batch_again() {
    let (place, tools) = (Place::new(), Arc::new(FakeTools::default()));
    let first = process();
    let run = first.block_on(async {
        let gateway = place.gateway(setup(&place, &tools)).await;
        approved(&gateway, &tools).await
    });
    drop(first);
    process().block_on(async {
        tools.gate.add_permits(1);
        let gateway = place.gateway(setup(&place, &tools)).await;
        assert_eq!(output(&gateway.ended(run).await), results());
        assert_eq!(gateway.ledger(run).await[..4], ROWS);
        let begun = tools.begun();
        assert_eq!(begun.len(), 2, "at least once");
        assert_eq!(begun[0], begun[1], "under the same key");
        gateway.stop().await;
    });
}
