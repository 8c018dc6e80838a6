//! Driving a held run from its claim to its next rest: the same code for every runner, embedded or not.
//!
//! Boundaries (architecture D4): everything between two of them is one commit.
//! * before an effect that acts outside: what precedes, with its `started` record;
//! * after it: its result — and, if the next step asks for another outside effect, that one's `started` record too;
//! * at rest.
//!
//! Mail is drained when a commit's answer shows some. A cancel that arrives while an effect runs drops the effect's
//! future, which closes its sockets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ag_effects::{Answer, EffectClass, EffectHandler, HostFailure, HostQuestion};
use ag_kernel::{EffectRequest, Exception, HostAnswers, HostCall, Stepped, Workflow};
use ag_store::{Rest, StoreError};
use ag_telemetry::metrics::{RUNS_PARKED, STEPS};
use ag_types::{RunStatus, Timestamp};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Held, Place,
    call::View,
    commit::{FIRST_PAUSE, LAST_PAUSE, Stop, Written, end_of_child, wake_at},
    traces,
    workflows::Found,
};

/// A call that took longer is followed by a look into the mailbox. What was posted during a shorter one may as well have
/// come after it: the answer of the next commit tells.
const NOTICEABLE: Duration = Duration::from_millis(5);
/// Crashes of its holders after which a run is parked (architecture D20).
const MAX_CRASHES: i16 = 3;

/// How a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// At rest; with the due time of its timer.
    Resting {
        /// Due time.
        wake_at: Option<Timestamp>,
    },
    /// Ready again: its budget is spent or the runner drains.
    Again,
    /// Terminal.
    Terminal,
}

/// What a drive watches besides its run.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Authority over the run is gone or about to go: drop everything, write nothing.
    pub abort: CancellationToken,
    /// A cancel for this run is waiting in its mail.
    pub cancel: CancelSignal,
    /// The runner drains: rest at the next boundary.
    pub drain: CancellationToken,
    /// Who drives.
    pub place: Arc<Place>,
}

/// "Read your mail now": fires once per signal and is re-armed after the mail was read.
#[derive(Debug, Clone, Default)]
pub struct CancelSignal {
    current: Arc<Mutex<CancellationToken>>,
}

impl CancelSignal {
    /// Fires.
    pub fn fire(&self) {
        self.current.lock().cancel();
    }
    /// The token to watch until the next re-arming.
    pub fn token(&self) -> CancellationToken {
        self.current.lock().clone()
    }
    /// Re-arms after the mail was read.
    fn rearm(&self) {
        let mut current = self.current.lock();
        if current.is_cancelled() {
            *current = CancellationToken::new();
        }
    }
}

enum Flow {
    Continue,
    Rest,
}

impl Deps {
    /// Drives a run to its next rest. `pending` is an effect whose `started` record the caller has just committed.
    ///
    /// # Errors
    /// [`Stop`] when authority or the store is lost; the run then stands where its last commit left it.
    pub async fn drive(
        &self,
        held: &mut Held,
        signals: &Signals,
        pending: Option<EffectRequest>,
    ) -> Result<Ended, Stop> {
        let drive = self.drive_inner(held, signals, pending);
        tokio::select! {
            biased;
            () = signals.abort.cancelled() => Err(Stop::Lost),
            ended = drive => ended,
        }
    }

    async fn drive_inner(
        &self,
        held: &mut Held,
        signals: &Signals,
        pending: Option<EffectRequest>,
    ) -> Result<Ended, Stop> {
        held.mixed = signals.place.is_mixed();
        let workflow = match self
            .workflows
            .get(
                &held.scope,
                &held.tick.run.head.workflow_id,
                held.bundle_sha256.as_deref(),
            )
            .await
        {
            Ok(Found::Workflow(workflow)) => workflow,
            Ok(Found::Missing(reason)) => return self.fail_missing(held, reason).await,
            Err(error) => return Err(error.into()),
        };
        if held.mail_in > held.seen {
            self.drain_mail(held).await?;
        }
        if held.tick.run.status == RunStatus::Running
            && let Some(unfit) = signals.place.unfit(held, &*workflow)
        {
            // The mail that was read stays read; everything else is for others.
            if held.seen > 0 {
                self.rest(held).await?;
            }
            return Err(Stop::Unfit(unfit));
        }
        if held.crashes >= MAX_CRASHES && !held.tick.run.status.is_terminal() {
            let node = &held.tick.run.current_node;
            let reason = format!("parked after {MAX_CRASHES} runner crashes at node '{node}'");
            if held.tick.pause(Some(&reason), self.clock.now()) {
                tracing::error!(run.id = %held.key.run, reason, "run parked");
                RUNS_PARKED.with([]).increment(1);
                return self.rest(held).await;
            }
        }
        let mut budget = Budget::new(self);
        if let Some(request) = pending
            && let Flow::Rest = self.perform(held, signals, request, &mut budget).await?
        {
            return self.rest(held).await;
        }
        loop {
            // A run that was parked with its batch keeps it until it is un-paused.
            while held.tick.aux.batch.is_some() && held.tick.run.status == RunStatus::Running {
                if signals.place.moves(held, &*workflow) {
                    return self.rest(held).await;
                }
                self.run_batch(held, signals).await?;
            }
            self.memory_work(held, signals).await?;
            held.tick.wake_if_due(self.clock.now());
            match self.steps(held, &*workflow, signals, &mut budget).await? {
                Flow::Continue => {}
                Flow::Rest => return self.rest(held).await,
            }
        }
    }

    /// Steps until something needs the driver.
    async fn steps(
        &self,
        held: &mut Held,
        workflow: &dyn Workflow,
        signals: &Signals,
        budget: &mut Budget,
    ) -> Result<Flow, Stop> {
        let mut answers = HostAnswers::default();
        loop {
            if held.tick.run.status != RunStatus::Running {
                return Ok(Flow::Rest);
            }
            if budget.spent() || signals.drain.is_cancelled() || signals.place.moves(held, workflow) {
                return Ok(Flow::Rest);
            }
            let now = self.clock.now();
            let stepped = held.tick.step(workflow, &self.env(now, &answers));
            match stepped {
                Err(call) => {
                    match self.ask_host(held, signals, &call).await? {
                        Some(answer) => answers.push(*call, answer),
                        // Cancelled: the mail decides.
                        None => {
                            self.interrupted(held, signals).await?;
                            return Ok(Flow::Continue);
                        }
                    }
                }
                Ok(Stepped::Moved) => {
                    answers.clear();
                    budget.steps += 1;
                }
                Ok(Stepped::Effect(request)) => {
                    answers.clear();
                    budget.steps += 1;
                    return self.before_effect(held, signals, *request, budget).await;
                }
                Ok(Stepped::Waiting | Stepped::Terminal) => return Ok(Flow::Rest),
            }
        }
    }

    /// Asks again while the host cannot reach a store. `None`: a cancel came.
    async fn ask_host(
        &self,
        held: &mut Held,
        signals: &Signals,
        call: &HostCall,
    ) -> Result<Option<Result<serde_json::Value, Exception>>, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            let cancel = signals.cancel.token();
            let question = HostQuestion {
                scope: &held.scope,
                run: &held.tick.run,
                call,
                cancel: &cancel,
            };
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(None),
                answer = self.host.answer(question) => answer,
            };
            let error = match answer {
                Ok(value) => return Ok(Some(Ok(value))),
                Err(HostFailure::Raised(exception)) => return Ok(Some(Err(exception))),
                Err(HostFailure::Postponed(error)) => error,
            };
            if pause > LAST_PAUSE || signals.drain.is_cancelled() {
                // Whoever holds the run next plans the step again. The results before it are kept, unless it is their
                // store that is away.
                if !held.is_clean() {
                    self.commit_and_drain(held).await?;
                }
                return Err(Stop::Store(error));
            }
            tracing::warn!(run.id = %held.key.run, %error, "asking a host again");
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause) => pause *= 2,
            }
        }
    }

    /// A cancel came while something was under way: its future is gone, the mail decides.
    pub(crate) async fn interrupted(&self, held: &mut Held, signals: &Signals) -> Result<(), Stop> {
        signals.cancel.rearm();
        self.drain_mail(held).await
    }

    /// Commits what must be durable before the effect, then performs it.
    async fn before_effect(
        &self,
        held: &mut Held,
        signals: &Signals,
        request: EffectRequest,
        budget: &mut Budget,
    ) -> Result<Flow, Stop> {
        let class = self
            .effects
            .get(request.open.kind)
            .map_or(EffectClass::Inline, |handler| handler.class());
        match class {
            EffectClass::Inline => {}
            EffectClass::ReadsStore => {
                if !held.is_clean() {
                    // The effect itself stays in memory: after a crash it is planned or opened again.
                    self.commit_and_drain(held).await?;
                }
            }
            EffectClass::Outside => {
                held.tick.mark_called();
                self.commit_and_drain(held).await?;
                if held.tick.run.status != RunStatus::Running {
                    // A pause came first: nobody outside has heard of this record, so it is used again.
                    held.tick.mark_not_called();
                }
            }
        }
        if held.tick.run.status != RunStatus::Running || held.tick.aux.open.is_none() {
            return Ok(Flow::Rest);
        }
        self.perform(held, signals, request, budget).await
    }

    /// Commits with the lease kept and applies mail that the answer shows.
    pub(crate) async fn commit_and_drain(&self, held: &mut Held) -> Result<(), Stop> {
        loop {
            match self.commit(held, Rest::Keep).await? {
                Written::Done { mail: false } => return Ok(()),
                Written::Done { mail: true } => return self.drain_mail(held).await,
                Written::Stale => self.readdress(held).await?,
            }
        }
    }

    async fn perform(
        &self,
        held: &mut Held,
        signals: &Signals,
        request: EffectRequest,
        budget: &mut Budget,
    ) -> Result<Flow, Stop> {
        ag_failpoints::hit_of(
            "step.before_effect",
            &[request.open.kind.as_str(), &*held.tick.run.head.workflow_id],
        );
        let since = Instant::now();
        let answer = match self.effects.get(request.open.kind) {
            None => Answer::failed(format!(
                "No effect handler registered for {}",
                request.open.kind.as_str()
            )),
            Some(handler) => match self.ask_handler(held, signals, &**handler, &request).await? {
                Some(answer) => answer,
                None => {
                    self.interrupted(held, signals).await?;
                    return Ok(match held.tick.run.status {
                        RunStatus::Running => Flow::Continue,
                        _ => Flow::Rest,
                    });
                }
            },
        };
        ag_failpoints::hit_of(
            "step.after_effect",
            &[request.open.kind.as_str(), &*held.tick.run.head.workflow_id],
        );
        let outside = self
            .effects
            .get(request.open.kind)
            .is_some_and(|handler| handler.class() == EffectClass::Outside);
        let answers = HostAnswers::default();
        let (outcome, changes) = held.collect(answer);
        held.pending.progress |= outside;
        held.tick
            .apply(outcome, changes, &self.env(self.clock.now(), &answers));
        if outside {
            // Time spent outside is nobody else's waiting time.
            budget.restart();
            if !held.tick.run.status.is_terminal() && since.elapsed() >= NOTICEABLE {
                // What was posted during the call applies at its end, before the next step (kernel spec §4.1).
                self.drain_mail(held).await?;
            }
        }
        Ok(if held.tick.run.status == RunStatus::Running {
            Flow::Continue
        } else {
            Flow::Rest
        })
    }

    /// Asks again while the handler cannot reach the store: what the tick holds in memory, results of calls included,
    /// would be lost with the run. `None`: a cancel came.
    pub(crate) async fn ask_handler(
        &self,
        held: &mut Held,
        signals: &Signals,
        handler: &dyn EffectHandler,
        request: &EffectRequest,
    ) -> Result<Option<Answer>, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = self.call(held, signals, handler, request).await?;
            let Some(error) = answer.as_ref().and_then(|answer| answer.postponed.clone()) else {
                return Ok(answer);
            };
            if pause > LAST_PAUSE || signals.drain.is_cancelled() {
                // As after a crash: whoever holds the run next performs the open effect.
                return Err(Stop::Store(error));
            }
            let cancel = signals.cancel.token();
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause) => pause *= 2,
            }
        }
    }

    /// Runs the tools of an approved batch. The batch is committed first, so that a second approval is refused and a
    /// crash resumes here.
    async fn run_batch(&self, held: &mut Held, signals: &Signals) -> Result<(), Stop> {
        self.commit_and_drain(held).await?;
        let Some(batch) = held.tick.aux.batch.clone() else {
            return Ok(());
        };
        let Some(open) = held.tick.aux.tool_wait.clone() else {
            // Only a wait that rests on a batch can be approved; without one there is nothing to run.
            held.tick.aux.batch = None;
            return Ok(());
        };
        let request = EffectRequest { open };
        let cancel = signals.cancel.token();
        let ctx = self.effect_ctx(View::of(held), &cancel, &request);
        let done = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            done = self.tools.run_approved(&ctx, &batch) => Some(done),
        };
        drop(ctx);
        let Some(done) = done else {
            return self.interrupted(held, signals).await;
        };
        held.pending.artifacts.extend(done.artifacts);
        held.pending.owners.extend(done.owners);
        held.pending.memory.extend(done.memory);
        held.pending.progress = true;
        // Mail of the meantime first: a pause applies at the end of the batch, a cancel drops its results.
        self.drain_mail(held).await?;
        if held.tick.run.status.is_terminal() {
            return Ok(());
        }
        held.tick.change_vars(done.changes);
        held.tick.finish_batch(done.stored, done.state, self.clock.now());
        Ok(())
    }

    /// Commits the rest that the run's status asks for; mail that arrived meanwhile is applied and the run goes on.
    async fn rest(&self, held: &mut Held) -> Result<Ended, Stop> {
        let mut told_parent = false;
        loop {
            if held.tick.run.status.is_terminal() {
                crate::memory::refuse_work(held);
            }
            let (rest, ended) = match held.tick.run.status {
                _ if !held.tick.aux.jobs.is_empty() => (Rest::Again, Ended::Again),
                RunStatus::Running if crate::memory::rests_on_reply(held) => {
                    let wake_at = Some(crate::memory::look_again(self.clock.now()));
                    (Rest::Wait { wake_at }, Ended::Resting { wake_at })
                }
                RunStatus::Running => (Rest::Again, Ended::Again),
                RunStatus::Waiting => {
                    let wake_at = wake_at(held);
                    (Rest::Wait { wake_at }, Ended::Resting { wake_at })
                }
                RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => {
                    if !told_parent {
                        told_parent = true;
                        self.tell_parent(held).await?;
                    }
                    (Rest::Terminal, Ended::Terminal)
                }
            };
            match self.commit(held, rest).await? {
                Written::Done { .. } => return Ok(ended),
                Written::Stale => {
                    self.drain_mail(held).await?;
                    self.readdress(held).await?;
                }
            }
        }
    }

    async fn tell_parent(&self, held: &mut Held) -> Result<(), Stop> {
        if held.tick.run.head.parent_run_id.is_none() {
            return Ok(());
        }
        let traces = match held.tick.aux.report_traces {
            true => {
                let writes = held.take_writes();
                held.offloaded.extend(writes.offloaded);
                held.records.extend(writes.records);
                crate::codec::add_counts(&mut held.counters, writes.counts);
                Some(traces::of_run(&*self.store, &held.scope, held.key.run, &held.records).await?)
            }
            false => None,
        };
        if let Some(mail) = end_of_child(held, traces) {
            held.pending.mail.push(mail);
        }
        Ok(())
    }

    /// The run's workflow is gone for good: it fails visibly instead of being claimed for ever.
    async fn fail_missing(&self, held: &mut Held, reason: String) -> Result<Ended, Stop> {
        self.drain_mail(held).await?;
        if held.tick.run.status.is_terminal() {
            return self.rest(held).await;
        }
        let answers = HostAnswers::default();
        held.tick.fail(
            &Exception::of("KeyError", reason),
            &self.env(self.clock.now(), &answers),
        );
        self.rest(held).await
    }
}

struct Budget {
    steps: u32,
    max_steps: u32,
    since: Instant,
    max_time: Duration,
}

impl Budget {
    fn new(deps: &Deps) -> Self {
        Self {
            steps: 0,
            max_steps: deps.limits.max_steps,
            since: Instant::now(),
            max_time: deps.limits.max_time,
        }
    }

    fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// The clock is read every 64 steps: reading it costs as much as a small step.
    fn spent(&self) -> bool {
        self.steps >= self.max_steps || (self.steps % 64 == 63 && self.since.elapsed() >= self.max_time)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        STEPS.with([]).increment(u64::from(self.steps));
    }
}

impl From<crate::workflows::WorkflowError> for Stop {
    fn from(error: crate::workflows::WorkflowError) -> Self {
        Stop::Store(StoreError::Unavailable(error.to_string()))
    }
}
