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

/// A message on its way.
#[derive(Debug, Clone)]
struct Outgoing {
    subject: String,
    payload: Bytes,
    /// Runs it wakes; 0 for a control message, which needs no stream.
    runs: u64,
    /// Trace context of whoever rang.
    trace: Option<Arc<str>>,
}

impl Outgoing {
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
        for keys in runs.chunks(per_message.clamp(1, wire::MAX_KEYS)) {
            let message = Outgoing {
                subject: wire::wake_subject(pool, &keys[0]),
                payload: wire::encode_wake(keys),
                runs: keys.len() as u64,
                trace: trace.clone(),
            };
            all &= self.put(message);
        }
        all
    }

    pub(super) fn control(&self, subject: String, payload: Bytes) {
        self.put(Outgoing {
            subject,
            payload,
            runs: 0,
            trace: None,
        });
    }

    fn put(&self, message: Outgoing) -> bool {
        let runs = message.runs;
        let taken = self.queue.try_send(message).is_ok();
        if !taken {
            lost(runs);
        }
        taken
    }
}

type Check = BoxFuture<'static, (Outgoing, Result<(), PublishError>)>;

struct Task {
    link: Arc<Link>,
    epoch: watch::Receiver<u64>,
    outgoing: mpsc::Receiver<Outgoing>,
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
                (message, result) = check => {
                    self.check = None;
                    self.checked(message, result).await;
                }
                () = tokio::time::sleep_until(self.next_check), if ailing => self.heal().await,
                message = self.outgoing.recv() => match message {
                    Some(message) => self.publish(message).await,
                    None => return,
                },
            }
        }
    }

    async fn publish(&mut self, message: Outgoing) {
        if !self.link.connected() {
            return lost(message.runs);
        }
        if message.runs == 0 {
            return self.send(message).await;
        }
        if !self.stream_known {
            // The first message of a connection whose event has not arrived yet.
            if self.link.health.publishing() {
                self.heal().await;
            }
            if !self.stream_known {
                return lost(message.runs);
            }
        }
        if self.check.is_none() && Instant::now() >= self.next_check {
            self.next_check = Instant::now() + CHECK_EVERY;
            WAKEUPS.with(["sent"]).increment(message.runs);
            self.check = Some(acknowledged(self.link.clone(), message).boxed());
            return;
        }
        self.send(message).await;
    }

    async fn send(&mut self, message: Outgoing) {
        let (client, headers) = (&self.link.client, message.headers());
        let publish = async {
            match headers {
                Some(headers) => {
                    let sent = client.publish_with_headers(message.subject, headers, message.payload);
                    sent.await
                }
                None => client.publish(message.subject, message.payload).await,
            }
        };
        match timeout(REQUEST, publish).await {
            Ok(Ok(())) => WAKEUPS.with(["sent"]).increment(message.runs),
            Ok(Err(_)) | Err(_) => {
                self.link.health.set_publishing(false);
                lost(message.runs);
            }
        }
    }

    async fn checked(&mut self, message: Outgoing, result: Result<(), PublishError>) {
        match result {
            Ok(()) => self.link.health.set_publishing(true),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                self.heal().await;
                self.link.stream_was_missing();
                match self.stream_known {
                    true => self.send(message).await,
                    false => lost(message.runs),
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a wake-up was not acknowledged");
                self.link.health.set_publishing(false);
                lost(message.runs);
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

async fn acknowledged(link: Arc<Link>, message: Outgoing) -> (Outgoing, Result<(), PublishError>) {
    let sent = message.clone();
    let result = async {
        let ack = match sent.headers() {
            Some(headers) => {
                let publish = link
                    .jetstream
                    .publish_with_headers(sent.subject, headers, sent.payload);
                publish.await?
            }
            None => link.jetstream.publish(sent.subject, sent.payload).await?,
        };
        ack.await.map(drop)
    };
    let result = result.await;
    (message, result)
}

fn lost(runs: u64) {
    WAKEUPS.with(["lost"]).increment(runs);
}
