//! A fake model: an effect that acts outside, scripted by its prompts, with a journal of all calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ag_effects::{Answer, EffectClass, EffectCtx, EffectHandler};
use ag_kernel::EffectRequest;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

/// One call as the outside saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Incarnation of the gateway that made it.
    pub(crate) generation: usize,
    pub(crate) key: String,
    pub(crate) attempt: u32,
}

/// Prompts: `panic` panics while [`Model::tame`] was not called, `hang` never answers until then, `gate` waits for a
/// permit of [`Model::gate`], `block` holds its thread until [`Model::unblock`]; anything else is answered at once.
pub(crate) struct Model {
    calls: Mutex<Vec<Call>>,
    pub(crate) generation: AtomicUsize,
    /// Calls that were dropped before their end.
    dropped: AtomicUsize,
    changed: Notify,
    pub(crate) gate: Semaphore,
    /// Ends `block`.
    blocked: (std::sync::Mutex<bool>, std::sync::Condvar),
    tame: AtomicBool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            generation: AtomicUsize::new(1),
            dropped: AtomicUsize::new(0),
            changed: Notify::new(),
            gate: Semaphore::new(0),
            blocked: Default::default(),
            tame: AtomicBool::new(false),
        }
    }
}

impl Model {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.calls.lock().iter().map(|call| call.attempt).collect()
    }

    /// From now on every prompt is answered at once.
    pub(crate) fn tame(&self) {
        self.tame.store(true, Ordering::SeqCst);
    }

    /// Returns once `wanted` calls have begun.
    pub(crate) async fn called(&self, wanted: usize) {
        self.until(|| self.calls.lock().len() >= wanted).await;
    }

    /// Returns once `wanted` calls have been dropped.
    pub(crate) async fn dropped(&self, wanted: usize) {
        self.until(|| self.dropped.load(Ordering::SeqCst) >= wanted).await;
    }

    /// Lets blocked calls go on.
    pub(crate) fn unblock(&self) {
        *self.blocked.0.lock().expect("no panic meanwhile") = true;
        self.blocked.1.notify_all();
    }

    /// Deaf to everything, as a library that blocks is.
    fn block(&self) {
        let open = self.blocked.0.lock().expect("no panic meanwhile");
        let waited = self
            .blocked
            .1
            .wait_timeout_while(open, super::DEADLINE, |open| !*open);
        assert!(
            !waited.expect("no panic meanwhile").1.timed_out(),
            "nobody unblocked the call"
        );
    }

    async fn until(&self, done: impl Fn() -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if done() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(super::DEADLINE, wait)
            .await
            .expect("the model was not used as expected");
    }
}

struct InFlight<'m> {
    model: &'m Model,
    ended: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.model.dropped.fetch_add(1, Ordering::SeqCst);
            self.model.changed.notify_waiters();
        }
    }
}

#[async_trait]
impl EffectHandler for Model {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let prompt = request
            .open
            .payload
            .get("prompt")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let prompt = ag_kernel::prepare::strip_grounding(prompt);
        let mut call = InFlight {
            model: self,
            ended: false,
        };
        self.calls.lock().push(Call {
            generation: self.generation.load(Ordering::SeqCst),
            key: ctx.outbound_key.clone(),
            attempt: request.open.attempt,
        });
        self.changed.notify_waiters();
        match prompt {
            _ if self.tame.load(Ordering::SeqCst) => {}
            "panic" => panic!("scripted panic of a handler"),
            "hang" => std::future::pending().await,
            "block" => self.block(),
            "gate" => self.gate.acquire().await.expect("gate").forget(),
            _ => tokio::task::yield_now().await,
        }
        call.ended = true;
        Answer::done(json!({"content": format!("re: {prompt}"), "usage": {"total_tokens": 3}}))
    }
}
