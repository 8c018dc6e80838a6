//! What leaves the node.
//!
//! A commit must not wait for a broker, so messages go through a bounded queue to one task, and most of them are
//! published without an acknowledgement: the stream takes them all the same. One wake-up a second asks for it; a
//! missing stream is thereby noticed, created and given that wake-up again.

use std::{sync::Arc, time::Duration};

use ag_telemetry::metrics::WAKEUPS;
use ag_types::RunKey;
use async_nats::{
    HeaderMap,
    jetstream::context::{PublishError, PublishErrorKind},
};
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::{
    link::{Link, REQUEST},
    wire,
};

/// Messages that wait for the task.
const QUEUE: usize = 4_096;
/// Time between two acknowledged wake-ups, and between two attempts to heal.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Runs that calls at the same time wake with one message. More would be fewer messages still, and all for one runner.
const TOGETHER: usize = 8;

/// A message on its way.
#[derive(Debug, Clone)]
enum Outgoing {
    Wake(Wake),
    /// Needs no stream.
    Control {
        subject: String,
        payload: Bytes,
    },
}

#[derive(Debug, Clone)]
struct Wake {
    pool: Arc<str>,
    keys: Vec<RunKey>,
    /// Trace context of whoever rang.
    trace: Option<Arc<str>>,
    /// Most keys that this may grow to.
    most: usize,
}

impl Wake {
    fn runs(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Takes the keys of another along, unless each belongs to a trace of its own.
    fn join(&mut self, other: Self) -> Result<(), Self> {
        let keys = self.keys.len() + other.keys.len();
        let fits = keys <= self.most.min(other.most).min(TOGETHER);
        if fits && self.pool == other.pool && self.trace.is_none() && other.trace.is_none() {
            self.keys.extend(other.keys);
            Ok(())
        } else {
            Err(other)
        }
    }

    fn subject(&self) -> String {
        wire::wake_subject(&self.pool, &self.keys[0])
    }

    fn headers(&self) -> Option<HeaderMap> {
        let trace = self.trace.as_deref()?;
        let mut headers = HeaderMap::new();
        headers.insert(wire::TRACE_HEADER, trace);
        Some(headers)
    }
}

/// The queue's entrance.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    queue: mpsc::Sender<Outgoing>,
}

impl Publisher {
    /// Starts the task, which ends when the last entrance is gone.
    pub(super) fn start(link: Arc<Link>) -> Self {
        let (queue, outgoing) = mpsc::channel(QUEUE);
        let epoch = link.epoch();
        let task = Task {
            link,
            epoch,
            outgoing,
            held: None,
            stream_known: false,
            next_check: Instant::now(),
            check: None,
        };
        tokio::spawn(task.run());
        Self { queue }
    }

    /// Announces runs in messages of at most `per_message` keys. Returns whether all found a place in the queue.
    pub(super) fn wake(
        &self,
        pool: &str,
        runs: &[RunKey],
        per_message: usize,
        trace: Option<Arc<str>>,
    ) -> bool {
        let mut all = true;
        let pool: Arc<str> = pool.into();
        let most = per_message.clamp(1, wire::MAX_KEYS);
        for keys in runs.chunks(most) {
            all &= self.put(Outgoing::Wake(Wake {
                pool: pool.clone(),
                keys: keys.to_vec(),
                trace: trace.clone(),
                most,
            }));
        }
        all
    }

    pub(super) fn control(&self, subject: String, payload: Bytes) {
        self.put(Outgoing::Control { subject, payload });
    }

    fn put(&self, message: Outgoing) -> bool {
        match self.queue.try_send(message) {
            Ok(()) => true,
            Err(error) => {
                if let Outgoing::Wake(wake) = error.into_inner() {
                    lost(wake.runs());
                }
                false
            }
        }
    }
}

type Check = BoxFuture<'static, (Wake, Result<(), PublishError>)>;

struct Task {
    link: Arc<Link>,
    epoch: watch::Receiver<u64>,
    outgoing: mpsc::Receiver<Outgoing>,
    /// Taken from the queue and the next to go.
    held: Option<Outgoing>,
    /// The stream was there since the connection last changed.
    stream_known: bool,
    next_check: Instant,
    check: Option<Check>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let check = async {
                match self.check.as_mut() {
                    Some(check) => check.await,
                    None => std::future::pending().await,
                }
            };
            let next = async {
                match self.held.take() {
                    Some(message) => Some(message),
                    None => self.outgoing.recv().await,
                }
            };
            let ailing = self.link.connected() && !self.link.health.publishing();
            tokio::select! {
                // The stream comes before the messages that need it.
                biased;
                Ok(()) = self.epoch.changed() => {
                    self.stream_known = false;
                    self.check = None;
                    if self.link.connected() {
                        self.heal().await;
                    }
                }
                (wake, result) = check => {
                    self.check = None;
                    self.checked(wake, result).await;
                }
                () = tokio::time::sleep_until(self.next_check), if ailing => self.heal().await,
                message = next => match message {
                    Some(Outgoing::Wake(wake)) => {
                        let wake = self.gather(wake);
                        self.publish(wake).await;
                    }
                    Some(Outgoing::Control { subject, payload }) => {
                        if self.link.connected() {
                            self.send(subject, None, payload, 0).await;
                        }
                    }
                    None => return,
                },
            }
        }
    }

    /// Adds what has been queued behind a wake-up, up to the first message that cannot go along.
    fn gather(&mut self, mut wake: Wake) -> Wake {
        while let Ok(next) = self.outgoing.try_recv() {
            let left = match next {
                Outgoing::Wake(other) => wake.join(other).err().map(Outgoing::Wake),
                control @ Outgoing::Control { .. } => Some(control),
            };
            if left.is_some() {
                self.held = left;
                break;
            }
        }
        wake
    }

    async fn publish(&mut self, wake: Wake) {
        if !self.link.connected() {
            return lost(wake.runs());
        }
        if !self.stream_known {
            // The first message of a connection whose event has not arrived yet.
            if self.link.health.publishing() {
                self.heal().await;
            }
            if !self.stream_known {
                return lost(wake.runs());
            }
        }
        if self.check.is_none() && Instant::now() >= self.next_check {
            self.next_check = Instant::now() + CHECK_EVERY;
            WAKEUPS.with(["sent"]).increment(wake.runs());
            self.check = Some(acknowledged(self.link.clone(), wake).boxed());
            return;
        }
        self.wake(&wake).await;
    }

    async fn wake(&mut self, wake: &Wake) {
        let payload = wire::encode_wake(&wake.keys);
        self.send(wake.subject(), wake.headers(), payload, wake.runs())
            .await;
    }

    /// `runs`: how many it wakes.
    async fn send(&mut self, subject: String, headers: Option<HeaderMap>, payload: Bytes, runs: u64) {
        let client = &self.link.client;
        let publish = async {
            match headers {
                Some(headers) => client.publish_with_headers(subject, headers, payload).await,
                None => client.publish(subject, payload).await,
            }
        };
        match timeout(REQUEST, publish).await {
            Ok(Ok(())) => WAKEUPS.with(["sent"]).increment(runs),
            Ok(Err(_)) | Err(_) => {
                self.link.health.set_publishing(false);
                lost(runs);
            }
        }
    }

    async fn checked(&mut self, wake: Wake, result: Result<(), PublishError>) {
        match result {
            Ok(()) => self.link.health.set_publishing(true),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                self.heal().await;
                self.link.stream_was_missing();
                match self.stream_known {
                    true => self.wake(&wake).await,
                    false => lost(wake.runs()),
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a wake-up was not acknowledged");
                self.link.health.set_publishing(false);
                lost(wake.runs());
            }
        }
    }

    /// Makes sure of the stream.
    async fn heal(&mut self) {
        self.next_check = Instant::now() + CHECK_EVERY;
        match self.link.ensure_stream().await {
            Ok(()) => self.stream_known = true,
            Err(error) => {
                self.stream_known = false;
                tracing::debug!(%error, "the stream of wake-ups is not available");
            }
        }
        self.link.health.set_publishing(self.stream_known);
    }
}

async fn acknowledged(link: Arc<Link>, wake: Wake) -> (Wake, Result<(), PublishError>) {
    let payload = wire::encode_wake(&wake.keys);
    let result = async {
        let ack = match wake.headers() {
            Some(headers) => {
                let publish = link
                    .jetstream
                    .publish_with_headers(wake.subject(), headers, payload);
                publish.await?
            }
            None => link.jetstream.publish(wake.subject(), payload).await?,
        };
        ack.await.map(drop)
    };
    let result = result.await;
    (wake, result)
}

fn lost(runs: u64) {
    WAKEUPS.with(["lost"]).increment(runs);
}

#[cfg(test)]
mod tests {
    use ag_types::{PlaneId, RunId};

    use super::*;

    fn wake(pool: &str, keys: usize, most: usize, trace: Option<&str>) -> Wake {
        let key = |i| RunKey {
            run: RunId(uuid::Uuid::from_u128(i as u128)),
            plane: PlaneId(1),
        };
        Wake {
            pool: pool.into(),
            keys: (0..keys).map(key).collect(),
            trace: trace.map(Into::into),
            most,
        }
    }

    #[test]
    fn wake_ups_of_one_pool_go_together() {
        let all = wire::MAX_KEYS;
        for (first, second, joined) in [
            (wake("a", 1, all, None), wake("a", 1, all, None), true),
            (wake("a", 5, all, None), wake("a", 3, all, None), true),
            (wake("a", 6, all, None), wake("a", 3, all, None), false),
            (wake("a", 1, all, None), wake("b", 1, all, None), false),
            (wake("a", 1, all, Some("t")), wake("a", 1, all, None), false),
            (wake("a", 1, all, None), wake("a", 1, all, Some("t")), false),
            // Given back in pieces by a runner without room: they stay pieces.
            (wake("a", 2, 2, None), wake("a", 2, 2, None), false),
            (wake("a", 1, 2, None), wake("a", 1, all, None), true),
        ] {
            let keys = first.keys.len() + second.keys.len();
            let mut both = first.clone();
            assert_eq!(
                both.join(second.clone()).is_ok(),
                joined,
                "{first:?} and {second:?}"
            );
            assert_eq!(both.keys.len(), if joined { keys } else { first.keys.len() });
        }
    }
}
