//! The first tick, in memory (architecture D4).

use std::time::Instant;

use ag_effects::{EffectClass, EffectCtx, Progress};
use ag_kernel::{EffectRequest, HostAnswers, Stepped, Workflow};
use tokio_util::sync::CancellationToken;

use super::Starter;
use crate::Held;

impl Starter {
    /// Steps in memory until something needs more than memory. Returns the outside effect it stopped at, if any.
    pub(super) async fn first_tick(&self, held: &mut Held, workflow: &dyn Workflow) -> Option<EffectRequest> {
        let deps = &self.deps;
        let answers = HostAnswers::default();
        let since = Instant::now();
        for _ in 0..deps.limits.first_steps {
            if since.elapsed() > deps.limits.first_time {
                return None;
            }
            match held.tick.step(workflow, &deps.env(deps.clock.now(), &answers)) {
                Ok(Stepped::Moved) => {}
                Ok(Stepped::Waiting | Stepped::Terminal) => return None,
                // A code node, a file: the runner answers it; the step has changed nothing.
                Err(_) => return None,
                Ok(Stepped::Effect(request)) => {
                    let handler = deps.effects.get(request.open.kind)?;
                    if handler.class() != EffectClass::Inline {
                        if handler.class() == EffectClass::Outside {
                            held.tick.mark_called();
                        }
                        return Some(*request);
                    }
                    let ctx = EffectCtx {
                        depth: held.tick.aux.depth,
                        scope: &held.scope,
                        run: &held.tick.run,
                        bundle_sha256: held.bundle_sha256.as_deref(),
                        outbound_key: String::new(),
                        cancel: CancellationToken::new(),
                        store: &*deps.store,
                        blobs: &*deps.blobs,
                        workflows: &*deps.workflows,
                        clock: &*deps.clock,
                        ids: &*deps.ids,
                        progress: Progress::default(),
                    };
                    let answer = handler.handle(&ctx, &request).await;
                    if answer.postponed.is_some() {
                        return Some(*request);
                    }
                    let (outcome, changes) = held.collect(answer);
                    held.tick
                        .apply(outcome, changes, &deps.env(deps.clock.now(), &answers));
                }
            }
        }
        None
    }
}
