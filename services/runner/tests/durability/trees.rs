//! Cancels of trees that still grow.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ag_kernel::{Interrupt, StepEnv, StepPlan, Workflow};
use ag_types::{Effect, EffectKind, RunId, RunState, RunStatus};
use serde_json::{Value, json};

use super::Place;
use crate::support::{
    Embedded, Setup,
    flow::{asking, line, subflow},
};

/// Starts fifty children without waiting for them; a read of the store between two of them is a commit each, so that
/// a cancel can come in between.
struct Broad;

impl Workflow for Broad {
    fn entry_node(&self) -> &str {
        "spawn"
    }
    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        let count = run.vars.get("count").and_then(Value::as_u64).unwrap_or(0);
        if run.current_node == "look" {
            let next = if count < 50 { "spawn" } else { "ask" };
            return Ok(effect(EffectKind::VarsQuery, json!({"path": "count"}), next));
        }
        if run.current_node == "ask" {
            return Ok(effect(EffectKind::AskUser, json!({"prompt": "?"}), "ask"));
        }
        run.vars.insert("count".into(), (count + 1).into());
        let payload = json!({"workflow_id": "b@1.0.0:asking", "async": true});
        Ok(effect(EffectKind::StartSubworkflow, payload, "look"))
    }
}

/// A child of a child of a child, fifty deep; the deepest asks.
struct Deep {
    reached: Arc<AtomicBool>,
}

impl Workflow for Deep {
    fn entry_node(&self) -> &str {
        "down"
    }
    fn plan(&self, run: &mut RunState, _: &StepEnv<'_>) -> Result<StepPlan, Interrupt> {
        let depth = run.vars.get("depth").and_then(Value::as_u64).unwrap_or(0);
        if run.current_node == "end" {
            return Ok(StepPlan::complete(json!({})));
        }
        if depth >= 50 {
            self.reached.store(true, Ordering::SeqCst);
            return Ok(effect(EffectKind::AskUser, json!({"prompt": "?"}), "end"));
        }
        let payload =
            json!({"workflow_id": "deep", "async": true, "wait": true, "vars": {"depth": depth + 1}});
        Ok(effect(EffectKind::StartSubworkflow, payload, "end"))
    }
}

fn effect(kind: EffectKind, payload: Value, next: &str) -> StepPlan {
    let payload = payload.as_object().cloned().unwrap_or_default();
    StepPlan::effect(
        Effect {
            kind,
            payload,
            result_key: None,
        },
        Some(next.to_owned()),
    )
}

async fn growing(place: &Place, native: &'static str) -> (Embedded, RunId, Arc<AtomicBool>) {
    let reached = Arc::new(AtomicBool::new(false));
    let deep: Arc<dyn Workflow> = Arc::new(Deep {
        reached: reached.clone(),
    });
    let natives = vec![("broad", Arc::new(Broad) as Arc<dyn Workflow>), ("deep", deep)];
    let gateway = place
        .gateway(Setup {
            natives,
            ..place.setup()
        })
        .await;
    gateway
        .install(&[("main", line(vec![subflow("s", native)])), ("asking", asking())])
        .await;
    let root = gateway.run("main", json!({})).await;
    (gateway, root, reached)
}

/// Everything below and including the root ends as cancelled, and nothing is born afterwards.
async fn all_cancelled(gateway: &Embedded, root: RunId) -> usize {
    gateway.ended(root).await;
    loop {
        let below = gateway
            .deps
            .store
            .descendants(&gateway.scope, root, 1_000)
            .await
            .expect("tree");
        for run in &below {
            let row = gateway.ended(run.head.run_id).await;
            assert_eq!(
                (row.columns.status, row.columns.error.as_deref()),
                (RunStatus::Cancelled, Some("enough"))
            );
        }
        let again = gateway
            .deps
            .store
            .descendants(&gateway.scope, root, 1_000)
            .await
            .expect("tree");
        if again.len() == below.len() {
            return below.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_children_that_are_being_born() {
    let place = Place::new();
    let (gateway, root, _) = growing(&place, "broad").await;
    let spawner = gateway.children(root, 1).await[0];
    gateway.children(spawner, 10).await;
    gateway.command(root, "cancel", json!({"reason": "enough"})).await;
    let count = all_cancelled(&gateway, root).await;
    assert!((11..=51).contains(&count), "{count}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_catches_up_with_a_tree_that_grows_downwards() {
    let place = Place::new();
    let (gateway, root, reached) = growing(&place, "deep").await;
    loop {
        let below = gateway
            .deps
            .store
            .descendants(&gateway.scope, root, 1_000)
            .await
            .expect("tree");
        if below.len() >= 10 || reached.load(Ordering::SeqCst) {
            break;
        }
        tokio::task::yield_now().await;
    }
    gateway.command(root, "cancel", json!({"reason": "enough"})).await;
    let count = all_cancelled(&gateway, root).await;
    assert!((1..=51).contains(&count), "{count}");
    gateway.stop().await;
}
