//! What a runner hears.
//!
//! One pull for one message waits at the broker; only when it brought something and more is there, further ones are
//! fetched, never more than asked for. A call may be abandoned at any await: the waiting pull and what was already
//! acknowledged stay with the listener and are used by the next call.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ag_telemetry::metrics::WAKEUPS;
use ag_types::RunKey;
use async_nats::jetstream::{
    AckKind, Message,
    consumer::{PullConsumer, pull::Batch},
};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    NatsError,
    link::{Link, REQUEST},
    publisher::Publisher,
    wire,
};
use crate::{Hint, WakeUps, backoff::Backoff};

/// How long a pull waits at the broker. Also how fast a forgotten one is noticed.
const WAIT: Duration = Duration::from_secs(2);
/// How long the broker may take to say that nothing came.
const GRACE: Duration = Duration::from_secs(1);
/// The same for what is there already. Another runner may have taken it meanwhile, and the broker waits then.
const FETCH: Duration = Duration::from_millis(50);
/// How long what is in hand waits for more.
const PATIENCE: Duration = Duration::from_millis(15);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

pub(super) struct NatsWakeUps {
    link: Arc<Link>,
    publisher: Publisher,
    pool: Arc<str>,
    epoch: watch::Receiver<u64>,
    consumer: Option<PullConsumer>,
    /// An attempt to get the consumer.
    opening: Option<BoxFuture<'static, Result<PullConsumer, NatsError>>>,
    /// Earliest time of the next attempt after a failure.
    retry_at: Instant,
    pull: Option<Pull>,
    /// Acknowledged and not yet handed out.
    ready: VecDeque<Hint>,
    /// Hints may have been lost, and the last call said so.
    absent: bool,
    backoff: Backoff,
}

struct Pull {
    batch: Batch,
    deadline: Instant,
    /// For what is there already.
    more: bool,
}

/// What one step brought.
enum Step {
    /// Nothing to say yet.
    Again,
    /// Hand out what is there.
    Done,
    /// Candidates should be looked up.
    Look,
}

impl NatsWakeUps {
    pub(super) fn new(link: Arc<Link>, publisher: Publisher, pool: Arc<str>) -> Self {
        Self {
            epoch: link.epoch(),
            link,
            publisher,
            pool,
            consumer: None,
            opening: None,
            retry_at: Instant::now(),
            pull: None,
            ready: VecDeque::new(),
            absent: false,
            backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        }
    }

    /// The bell is away. Said once; then the caller looks for candidates at its own pace until it is back.
    fn away(&mut self) -> Step {
        self.consumer = None;
        self.opening = None;
        self.pull = None;
        self.retry_at = Instant::now() + self.backoff.pause();
        self.link.health.set_pulling(false);
        match std::mem::replace(&mut self.absent, true) {
            false => Step::Look,
            true => Step::Again,
        }
    }

    /// One step towards a consumer. Pause and attempt outlive a call: a caller that looks for candidates every quarter
    /// of a second must not keep the bell away by it.
    async fn connect(&mut self) -> Step {
        if !self.link.connected() {
            if !self.absent {
                return self.away();
            }
            // The callback that reports a change may run before or after the state itself changes.
            let _ = timeout(LAST_RETRY, self.epoch.changed()).await;
            return Step::Again;
        }
        if self.absent && self.opening.is_none() {
            tokio::time::sleep_until(self.retry_at).await;
        }
        let opening = match &mut self.opening {
            Some(opening) => opening,
            None => {
                self.epoch.mark_unchanged();
                let (link, pool) = (self.link.clone(), self.pool.clone());
                let open = async move { link.consumer(&pool).await };
                self.opening.insert(open.boxed())
            }
        };
        let opened = tokio::select! {
            biased;
            Ok(()) = self.epoch.changed() => return self.away(),
            opened = opening => opened,
        };
        self.opening = None;
        match opened {
            Ok(consumer) => {
                self.consumer = Some(consumer);
                self.link.health.set_pulling(true);
                match std::mem::take(&mut self.absent) {
                    true => Step::Look,
                    false => Step::Again,
                }
            }
            Err(error) => {
                tracing::debug!(%error, pool = %self.pool, "no consumer of wake-ups");
                self.away()
            }
        }
    }

    async fn step(&mut self, max: usize) -> Step {
        let Some(consumer) = &self.consumer else {
            return self.connect().await;
        };
        if self.pull.is_none() {
            let wait = consumer.batch().max_messages(1).expires(WAIT).messages();
            self.pull = match timeout(REQUEST, wait).await {
                Ok(Ok(batch)) => Some(Pull {
                    batch,
                    deadline: Instant::now() + WAIT + GRACE,
                    more: false,
                }),
                Ok(Err(_)) | Err(_) => return self.away(),
            };
        }
        let Some(pull) = &mut self.pull else {
            return Step::Again;
        };
        let more = pull.more;
        let got = tokio::select! {
            biased;
            Ok(()) = self.epoch.changed() => return self.away(),
            got = timeout_at(pull.deadline, pull.batch.next()) => got,
        };
        match got {
            Ok(Some(Ok(message))) => self.receive(&message, max, more).await,
            // Nothing came, and the broker said so.
            Ok(None) => {
                self.pull = None;
                self.backoff.reset();
                self.settled()
            }
            Err(_) if more => {
                // Given up, the pull counts for nothing at the broker.
                self.pull = None;
                self.settled()
            }
            Err(_) => {
                tracing::debug!(pool = %self.pool, "the broker forgot a pull");
                self.away()
            }
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, pool = %self.pool, "a pull was refused");
                self.away()
            }
        }
    }

    fn settled(&self) -> Step {
        match self.ready.is_empty() {
            true => Step::Again,
            false => Step::Done,
        }
    }

    async fn receive(&mut self, message: &Message, max: usize, more: bool) -> Step {
        self.backoff.reset();
        let pending = message.info().map_or(0, |info| info.pending);
        let room = max.saturating_sub(self.ready.len());
        if room == 0 {
            // Fetched for a larger demand than there is now: somebody else's.
            let _ = timeout(REQUEST, message.ack_with(AckKind::Nak(None))).await;
            return Step::Again;
        }
        let keys = wire::decode_wake(&message.payload);
        let size = keys.as_ref().map_or(1, |keys| keys.len().max(1));
        let headers = message.headers.as_ref();
        let trace: Option<Arc<str>> = headers
            .and_then(|headers| headers.get(wire::TRACE_HEADER))
            .map(|trace| trace.as_str().into());
        if let Some(keys) = &keys {
            WAKEUPS.with(["received"]).increment(keys.len() as u64);
            let (mine, rest) = keys.split_at(keys.len().min(room));
            let hint = |key: &RunKey| Hint {
                key: *key,
                trace: trace.clone(),
            };
            self.ready.extend(mine.iter().map(hint));
            // What exceeds the demand is for others with room, in pieces like the one taken here.
            if !rest.is_empty() {
                self.publisher.wake(&self.pool, rest, mine.len(), trace);
            }
        }
        if !more {
            self.pull = None;
        }
        if timeout(REQUEST, message.ack()).await.is_err() {
            return self.away();
        }
        if keys.is_none() {
            return match self.ready.is_empty() {
                true => Step::Look,
                false => Step::Done,
            };
        }
        if more {
            return Step::Again;
        }
        let wanted =
            (max.saturating_sub(self.ready.len()) / size).min(usize::try_from(pending).unwrap_or(max));
        if wanted > 0 {
            self.fetch(wanted).await;
        }
        match self.pull {
            Some(_) => Step::Again,
            None => self.settled(),
        }
    }

    async fn fetch(&mut self, messages: usize) {
        let Some(consumer) = &self.consumer else { return };
        let fetch = consumer.fetch().max_messages(messages).expires(FETCH).messages();
        if let Ok(Ok(batch)) = timeout(REQUEST, fetch).await {
            self.pull = Some(Pull {
                batch,
                deadline: Instant::now() + PATIENCE,
                more: true,
            });
        }
    }
}

#[async_trait]
impl WakeUps for NatsWakeUps {
    async fn next(&mut self, max: usize) -> Vec<Hint> {
        let max = max.max(1);
        loop {
            // An abandoned call left these.
            let waiting_for_more = self.pull.as_ref().is_some_and(|pull| pull.more);
            if !self.ready.is_empty() && !waiting_for_more {
                break;
            }
            match self.step(max).await {
                Step::Again => {}
                Step::Done => break,
                Step::Look if self.ready.is_empty() => return Vec::new(),
                Step::Look => break,
            }
        }
        let n = self.ready.len().min(max);
        self.ready.drain(..n).collect()
    }
}
