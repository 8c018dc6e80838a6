//! Tools that always ask first. Approved batches wait for a permit and are counted.

use ag_effects::{Answer, EffectClass, EffectCtx, EffectHandler, Tools, ToolsDone};
use ag_kernel::{EffectRequest, Outcome, aux::ApprovedBatch, waits};
use ag_types::{Wait, WaitReason};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

pub(crate) struct FakeTools {
    /// Outbound keys of batches that have begun.
    begun: watch::Sender<Vec<String>>,
    pub(crate) gate: Semaphore,
}

impl Default for FakeTools {
    fn default() -> Self {
        Self {
            begun: watch::Sender::default(),
            gate: Semaphore::new(0),
        }
    }
}

impl FakeTools {
    pub(crate) fn begun(&self) -> Vec<String> {
        self.begun.borrow().clone()
    }

    /// Returns once `wanted` batches have begun.
    pub(crate) async fn running(&self, wanted: usize) {
        let mut begun = self.begun.subscribe();
        let wait = begun.wait_for(|begun| begun.len() >= wanted);
        tokio::time::timeout(super::DEADLINE, wait)
            .await
            .expect("in time")
            .expect("sender");
    }
}

#[async_trait]
impl EffectHandler for FakeTools {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }
    async fn handle(&self, _: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let key = format!("tool_approval:{}", request.open.node_id);
        let mut wait = waits::wait_for(&request.open, WaitReason::User, Some(key));
        wait.details = Some(json!({"mode": "approval_required"}));
        Answer::of(Outcome::Waiting(wait))
    }
}

#[async_trait]
impl Tools for FakeTools {
    async fn run_approved(&self, ctx: &EffectCtx<'_>, _: &ApprovedBatch) -> ToolsDone {
        self.begun
            .send_modify(|begun| begun.push(ctx.outbound_key.clone()));
        self.gate.acquire().await.expect("gate").forget();
        ToolsDone {
            stored: json!({"mode": "executed", "results": ["done"]}),
            ..ToolsDone::default()
        }
    }
    fn settle(&self, _: &Wait, payload: &Value) -> Option<Value> {
        (payload.get("approved") != Some(&Value::Bool(true))).then(|| payload.clone())
    }
}
