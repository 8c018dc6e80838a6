//! What the node hears: one connection, one subscription per run however many clients.
//!
//! A run's subscription begins with its first client and ends within a second or two after its last has gone; the
//! pause spares a client that reconnects. After a lost connection everything is subscribed again. What was announced
//! meanwhile is lost, and the feed says so by being unhealthy a little longer.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Duration};

use ag_types::RunKey;
use futures::StreamExt as _;
use parking_lot::Mutex;
use redis::{
    Msg,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{Instant, MissedTickBehavior, timeout},
};

use super::{
    link::{ANSWER, CONNECT, Part, RedisLink},
    wire,
};
use crate::{FeedItem, FeedSubscription, backoff::Backoff};

/// Items buffered per run for slow streams; a stream that falls behind reads the database.
const BUFFER: usize = 64;
/// Channels of one command.
const CHANNELS: usize = 512;
/// Time between looks for runs that nobody listens to any more.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// Silence after which the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

struct Entry {
    items: broadcast::Sender<FeedItem>,
    /// Whether the server delivers.
    confirmed: watch::Sender<bool>,
}

type Runs = Arc<Mutex<HashMap<RunKey, Entry>>>;

/// The subscriptions' entrance.
pub(super) struct Subscriptions {
    link: RedisLink,
    runs: Runs,
    /// Runs to subscribe to. As many as entries were made, and taken as fast as the server answers.
    wanted: mpsc::UnboundedSender<RunKey>,
}

impl Subscriptions {
    /// Starts the task, which ends when the entrance is gone.
    pub(super) fn start(link: RedisLink) -> Self {
        let (wanted, requests) = mpsc::unbounded_channel();
        let runs = Runs::default();
        let task = Task {
            link: link.clone(),
            runs: runs.clone(),
            wanted: requests,
            backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        };
        tokio::spawn(task.run());
        Self { link, runs, wanted }
    }

    pub(super) async fn subscribe(&self, run: RunKey) -> FeedSubscription {
        let (items, mut confirmed) = {
            let mut runs = self.runs.lock();
            let entry = runs.entry(run).or_insert_with(|| {
                // Fails only when the task is gone; the subscription stays silent then and its reader looks by itself.
                let _ = self.wanted.send(run);
                Entry {
                    items: broadcast::channel(BUFFER).0,
                    confirmed: watch::Sender::new(false),
                }
            });
            (entry.items.subscribe(), entry.confirmed.subscribe())
        };
        if !self.link.health.bad(Part::Subscriptions) {
            // What is published after this returns must be heard. An absent answer makes the feed unhealthy.
            let _ = timeout(ANSWER, confirmed.wait_for(|confirmed| *confirmed)).await;
        }
        FeedSubscription { items }
    }
}

struct Task {
    link: RedisLink,
    runs: Runs,
    wanted: mpsc::UnboundedReceiver<RunKey>,
    backoff: Backoff,
}

impl Task {
    async fn run(mut self) {
        while !self.wanted.is_closed() {
            if let Ok(Ok(connection)) = timeout(CONNECT, self.link.client.get_async_pubsub()).await {
                let (sink, stream) = connection.split();
                self.serve(sink, stream).await;
            }
            if self.wanted.is_closed() {
                return;
            }
            self.link.health.set(Part::Subscriptions, false);
            for entry in self.runs.lock().values() {
                entry.confirmed.send_replace(false);
            }
            tokio::time::sleep(self.backoff.pause()).await;
        }
    }

    /// Uses a connection until it is lost.
    async fn serve(&mut self, mut sink: PubSubSink, mut stream: PubSubStream) {
        // Those that come from now on are in the queue, the earlier ones are in the map.
        while self.wanted.try_recv().is_ok() {}
        let all: Vec<RunKey> = self.runs.lock().keys().copied().collect();
        if self.add(&mut sink, &all).await.is_break() {
            return;
        }
        self.backoff.reset();
        if self.link.health.bad(Part::Subscriptions) {
            // What was announced until now is missed.
            self.link.health.unsettle();
        }
        self.link.health.set(Part::Subscriptions, true);
        let mut tidy = tokio::time::interval(TIDY_EVERY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let next = tokio::select! {
                message = stream.next() => match message {
                    Some(message) => {
                        heard = Instant::now();
                        self.deliver(&message);
                        ControlFlow::Continue(())
                    }
                    None => ControlFlow::Break(()),
                },
                first = self.wanted.recv() => match first {
                    Some(first) => {
                        let mut runs = vec![first];
                        while runs.len() < CHANNELS && let Ok(run) = self.wanted.try_recv() {
                            runs.push(run);
                        }
                        self.add(&mut sink, &runs).await
                    }
                    None => ControlFlow::Break(()),
                },
                _ = tidy.tick() => {
                    let quiet = heard.elapsed() >= SILENCE;
                    match quiet && !answers(&mut sink).await {
                        true => ControlFlow::Break(()),
                        false => {
                            if quiet {
                                heard = Instant::now();
                            }
                            self.tidy(&mut sink).await
                        }
                    }
                }
            };
            if next.is_break() {
                return;
            }
        }
    }

    fn deliver(&self, message: &Msg) {
        let Some(run) = wire::run_of(message.get_channel_name()) else {
            return;
        };
        let Some(item) = wire::decode(message.get_payload_bytes()) else {
            return;
        };
        if let Some(entry) = self.runs.lock().get(&run) {
            // Nobody left: the next look notices.
            let _ = entry.items.send(item);
        }
    }

    async fn add(&self, sink: &mut PubSubSink, runs: &[RunKey]) -> ControlFlow<()> {
        for runs in runs.chunks(CHANNELS) {
            let channels: Vec<String> = runs.iter().map(|run| wire::channel(*run)).collect();
            if !matches!(timeout(ANSWER, sink.subscribe(channels)).await, Ok(Ok(()))) {
                return ControlFlow::Break(());
            }
            let known = self.runs.lock();
            for entry in runs.iter().filter_map(|run| known.get(run)) {
                entry.confirmed.send_replace(true);
            }
        }
        ControlFlow::Continue(())
    }

    /// Ends the subscriptions that nobody listens to. A client that comes back meanwhile makes a new entry, whose
    /// request is answered after this.
    async fn tidy(&self, sink: &mut PubSubSink) -> ControlFlow<()> {
        let mut left = Vec::new();
        self.runs.lock().retain(|run, entry| {
            let used = entry.items.receiver_count() > 0;
            if !used {
                left.push(wire::channel(*run));
            }
            used
        });
        for channels in left.chunks(CHANNELS) {
            if !matches!(timeout(ANSWER, sink.unsubscribe(channels)).await, Ok(Ok(()))) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

async fn answers(sink: &mut PubSubSink) -> bool {
    matches!(timeout(ANSWER, sink.ping::<redis::Value>()).await, Ok(Ok(_)))
}
