//! Calling an effect handler: what it sees of the run, and what it reports while it works.

use std::{future::Future, time::Instant};

use ag_effects::{Answer, EffectCtx, EffectHandler, Progress};
use ag_kernel::{EffectRequest, Outcome};
use ag_store::Rest;
use ag_telemetry::metrics::{EFFECT_DURATION, EFFECTS};
use ag_types::{EffectKind, RunState, TenantScope};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::{Deps, Held, Signals, commit::Stop};

/// What an effect sees of a run.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    run: &'a RunState,
    scope: &'a TenantScope,
    bundle_sha256: Option<&'a str>,
    depth: u32,
}

impl<'a> View<'a> {
    pub(crate) fn of(held: &'a Held) -> Self {
        Self {
            run: &held.tick.run,
            scope: &held.scope,
            bundle_sha256: held.bundle_sha256.as_deref(),
            depth: held.tick.aux.depth,
        }
    }
}

impl Deps {
    /// Performs an effect and writes down what it reports meanwhile. `None`: a cancel came, its future is gone.
    ///
    /// # Errors
    /// [`Stop`] when a report could not be committed; the effect is gone then, too.
    pub(crate) async fn call(
        &self,
        held: &mut Held,
        signals: &Signals,
        handler: &dyn EffectHandler,
        request: &EffectRequest,
    ) -> Result<Option<Answer>, Stop> {
        let kind = request.open.kind;
        let cancel = signals.cancel.token();
        let answer = if handler.reports(request) {
            self.follow(held, &cancel, handler, request).await?
        } else {
            let ctx = self.effect_ctx(View::of(held), &cancel, request);
            let work = observed(kind, handler.handle(&ctx, request)).instrument(effect_span(request));
            tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                answer = work => Some(answer),
            }
        };
        if answer.is_none() {
            EFFECTS.with([kind.as_str(), "cancelled"]).increment(1);
        }
        Ok(answer)
    }

    /// Its reports are committed while the effect runs, so it works on a copy of the run.
    async fn follow(
        &self,
        held: &mut Held,
        cancel: &CancellationToken,
        handler: &dyn EffectHandler,
        request: &EffectRequest,
    ) -> Result<Option<Answer>, Stop> {
        let (run, scope) = (held.tick.run.clone(), held.scope.clone());
        let bundle = held.bundle_sha256.clone();
        let view = View {
            run: &run,
            scope: &scope,
            bundle_sha256: bundle.as_deref(),
            depth: held.tick.aux.depth,
        };
        let (progress, mut reports) = Progress::channel();
        let ctx = EffectCtx {
            progress,
            ..self.effect_ctx(view, cancel, request)
        };
        let work =
            observed(request.open.kind, handler.handle(&ctx, request)).instrument(effect_span(request));
        let mut work = Box::pin(work);
        let mut count = 0;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(None),
                answer = &mut work => {
                    while let Ok(report) = reports.try_recv() {
                        count += 1;
                        held.tick.progress(count, report, self.clock.now());
                    }
                    return Ok(Some(answer));
                }
                Some(report) = reports.recv() => {
                    count += 1;
                    held.tick.progress(count, report, self.clock.now());
                    // Mail that the answer shows waits for the end of the effect; a cancel fires its token.
                    self.commit(held, Rest::Keep).await?;
                }
            }
        }
    }

    pub(crate) fn effect_ctx<'a>(
        &'a self,
        view: View<'a>,
        cancel: &CancellationToken,
        request: &EffectRequest,
    ) -> EffectCtx<'a> {
        let open = &request.open;
        EffectCtx {
            depth: view.depth,
            scope: view.scope,
            run: view.run,
            bundle_sha256: view.bundle_sha256,
            outbound_key: format!("{}/{}/{}", view.run.head.run_id, open.node_id, open.visit),
            cancel: cancel.clone(),
            store: &*self.store,
            blobs: &*self.blobs,
            workflows: &*self.workflows,
            clock: &*self.clock,
            ids: &*self.ids,
            progress: Progress::default(),
        }
    }
}

fn effect_span(request: &EffectRequest) -> Span {
    let open = &request.open;
    tracing::info_span!(
        "effect",
        effect.kind = open.kind.as_str(),
        node.id = open.node_id,
        attempt = i64::from(open.attempt)
    )
}

/// Counts and times an attempt of an effect.
async fn observed(kind: EffectKind, call: impl Future<Output = Answer>) -> Answer {
    let since = Instant::now();
    let answer = call.await;
    let outcome = match &answer.outcome {
        Outcome::Done { .. } => "done",
        Outcome::Waiting(_) => "waiting",
        Outcome::Failed(_) => "failed",
        Outcome::Asked { .. } => "asked",
    };
    EFFECTS.with([kind.as_str(), outcome]).increment(1);
    EFFECT_DURATION
        .with([kind.as_str()])
        .record(since.elapsed().as_secs_f64());
    answer
}
