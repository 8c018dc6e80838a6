//! One client's view of a run.

use std::{
    hash::{BuildHasher as _, RandomState},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use ag_messaging::{FeedItem, FeedSubscription};
use ag_store::{LedgerPage, StoreError};
use ag_telemetry::metrics::{FEED_GAPS, STREAMS_CUT, STREAMS_OPEN, STREAMS_OPENED};
use ag_types::{RunId, RunKey, TenantScope};
use bytes::Bytes;
use futures::Stream;
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::{Instant, Sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Streams, frame, out::Out, quiet::Watching};
use crate::middleware::StreamPlace;

/// Records of one read, at most: a client that is far behind is served in pieces.
const PAGE: usize = 128;
/// Records of the first read; later ones ask for as many as fit what is sent together.
const FIRST_PAGE: usize = 32;
/// Frames are sent together up to this size: what a node holds for a client that takes nothing.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pause before a lost subscription is renewed.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_millis(250);

/// What to follow.
pub(crate) struct FollowOptions {
    pub(crate) scope: TenantScope,
    pub(crate) run: RunId,
    /// Records the client has.
    pub(crate) after: i64,
    /// Idle time after which a comment is sent.
    pub(crate) heartbeat: Duration,
    /// The node's place for this stream.
    pub(crate) place: Option<StreamPlace>,
}

/// An open stream.
pub(crate) struct Follow {
    streams: Arc<Streams>,
    scope: TenantScope,
    run: RunId,
    feed: FeedSubscription,
    watching: Watching,
    cursor: i64,
    heartbeat: Duration,
    idle: Pin<Box<Sleep>>,
    /// Kept, because all streams of a node wait for it in one list.
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
    phase: Phase,
    /// The first page, read when the stream was opened.
    first: Option<LedgerPage>,
    /// Records that the next read asks for.
    page: usize,
    _place: Option<StreamPlace>,
    _open: Open,
}

enum Phase {
    /// The store may hold records after the cursor.
    Behind,
    /// Everything known was sent; the feed says what follows.
    Live,
    /// Nothing more is sent.
    Over,
}

/// What one wait brought.
enum Event {
    Item(Result<FeedItem, RecvError>),
    Seen,
    Idle,
    Drain,
}

impl Follow {
    /// Opens a stream: subscribes, then reads. `None` if there is no such run.
    ///
    /// # Errors
    /// [`StoreError`] of the first read.
    pub(crate) async fn open(
        streams: &Arc<Streams>,
        options: FollowOptions,
    ) -> Result<Option<Self>, StoreError> {
        let FollowOptions {
            scope,
            run,
            after,
            heartbeat,
            place,
        } = options;
        let key = RunKey {
            run,
            plane: scope.plane,
        };
        let feed = streams.feed.subscribe(key).await;
        let watching = streams.quiet.watch(key);
        ag_failpoints::pass("stream.subscribed", &[]).await;
        let Some(first) = streams.store.ledger(&scope, run, after, FIRST_PAGE).await? else {
            return Ok(None);
        };
        ag_failpoints::pass("stream.replayed", &[]).await;
        Ok(Some(Self {
            streams: streams.clone(),
            scope,
            run,
            feed,
            watching,
            cursor: after,
            heartbeat,
            idle: Box::pin(tokio::time::sleep(heartbeat)),
            drained: Box::pin(streams.drain.clone().cancelled_owned()),
            phase: Phase::Behind,
            first: Some(first),
            page: FIRST_PAGE,
            _place: place,
            _open: Open::new(),
        }))
    }

    /// The frames as they come, until the end of the run, of the node or of the client.
    pub(crate) fn into_stream<E>(self) -> impl Stream<Item = Result<Bytes, E>> + Send {
        futures::stream::unfold(self, |mut follow| async move {
            let frames = follow.next().await?;
            Some((Ok(frames), follow))
        })
    }

    /// The next frames; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let mut out = Out::default();
        while out.is_empty() {
            match self.phase {
                Phase::Over => return None,
                Phase::Behind => match self.read(&mut out).await {
                    Ok(()) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, run.id = %self.run, "a stream could not read its ledger");
                        STREAMS_CUT.with(["error"]).increment(1);
                        // Its clients come back, and not all at once.
                        self.leave(&mut out);
                    }
                },
                Phase::Live => {
                    let event = self.wait().await;
                    self.take(event, &mut out).await;
                }
            }
        }
        self.idle.as_mut().reset(Instant::now() + self.heartbeat);
        Some(out.into_bytes())
    }

    /// Sends what the store holds after the cursor, up to what is sent together; the rest of a page is read again when it
    /// is wanted, and not kept meanwhile. The page's status and end belong together: terminal means that nothing
    /// follows.
    async fn read(&mut self, out: &mut Out) -> Result<(), StoreError> {
        let page = match self.first.take() {
            Some(page) => Some(page),
            None => {
                self.streams
                    .store
                    .ledger(&self.scope, self.run, self.cursor, self.page)
                    .await?
            }
        };
        let Some(page) = page else {
            self.phase = Phase::Over;
            return Ok(());
        };
        let mut sent = 0;
        for (seq, line) in page.records() {
            if out.len() >= CHUNK_BYTES {
                break;
            }
            frame::step(out.text(), seq, line);
            self.cursor = seq;
            sent += 1;
        }
        self.page = match sent < self.page {
            // Large records: no more than these are read at once.
            true if out.len() >= CHUNK_BYTES => sent.max(1),
            true => self.page,
            false => (self.page * 2).min(PAGE),
        };
        if self.cursor < page.last_seq && !out.is_empty() {
            return Ok(());
        }
        if page.status.is_terminal() {
            frame::done(out.text(), &self.run.to_string(), self.cursor);
            self.phase = Phase::Over;
        } else {
            self.phase = Phase::Live;
        }
        Ok(())
    }

    async fn wait(&mut self) -> Event {
        tokio::select! {
            biased;
            () = self.drained.as_mut() => Event::Drain,
            item = self.feed.items.recv() => Event::Item(item),
            Ok(()) = self.watching.seen.changed() => Event::Seen,
            () = self.idle.as_mut() => Event::Idle,
        }
    }

    async fn take(&mut self, event: Event, out: &mut Out) {
        match event {
            Event::Item(Ok(item)) => {
                self.watching.mark_busy();
                self.item(item, out);
                self.buffered(out);
            }
            Event::Item(Err(RecvError::Lagged(_))) => self.fall_behind(),
            Event::Item(Err(RecvError::Closed)) => {
                tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
                let key = RunKey {
                    run: self.run,
                    plane: self.scope.plane,
                };
                self.feed = self.streams.feed.subscribe(key).await;
                self.phase = Phase::Behind;
            }
            Event::Seen => {
                let seen = *self.watching.seen.borrow_and_update();
                if seen.last_seq > self.cursor {
                    self.fall_behind();
                } else if seen.ended {
                    self.phase = Phase::Behind;
                }
            }
            Event::Idle => out.text().push_str(frame::KEEP_ALIVE),
            Event::Drain => {
                self.leave(out);
                STREAMS_CUT.with(["drain"]).increment(1);
            }
        }
    }

    /// Ends the stream before its run has ended.
    fn leave(&mut self, out: &mut Out) {
        frame::retry(out.text(), RandomState::new().hash_one(self.run));
        self.phase = Phase::Over;
    }

    /// Takes what is there already, so that a burst is one write.
    fn buffered(&mut self, out: &mut Out) {
        while matches!(self.phase, Phase::Live) && out.len() < CHUNK_BYTES {
            match self.feed.items.try_recv() {
                Ok(item) => self.item(item, out),
                Err(TryRecvError::Lagged(_)) => self.fall_behind(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn item(&mut self, item: FeedItem, out: &mut Out) {
        match item {
            FeedItem::Record { seq, .. } if seq <= self.cursor => {}
            FeedItem::Record {
                seq,
                line: Some(line),
            } if seq == self.cursor + 1 => {
                out.push(line.rendered(|line| {
                    let mut text = String::new();
                    frame::step(&mut text, seq, line);
                    text.into()
                }));
                self.cursor = seq;
            }
            // The next one, too large to be carried: a read, and no gap.
            FeedItem::Record { seq, line: None } if seq == self.cursor + 1 => self.phase = Phase::Behind,
            FeedItem::Record { .. } => self.fall_behind(),
            FeedItem::Terminal { last_seq } if last_seq <= self.cursor => {
                frame::done(out.text(), &self.run.to_string(), self.cursor);
                self.phase = Phase::Over;
            }
            FeedItem::Terminal { .. } => self.fall_behind(),
        }
    }

    fn fall_behind(&mut self) {
        FEED_GAPS.with([]).increment(1);
        self.phase = Phase::Behind;
    }
}

/// Counts a stream while it is open.
struct Open;

impl Open {
    fn new() -> Self {
        STREAMS_OPENED.with([]).increment(1);
        STREAMS_OPEN.with([]).increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        STREAMS_OPEN.with([]).decrement(1.0);
    }
}
