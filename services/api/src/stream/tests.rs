//! A stream is the log: whatever the feed loses, the frames are complete, in order, once.

use std::{sync::Arc, time::Duration};

use ag_messaging::{FeedItem, RunFeed};
use ag_store::{Commit, NewSession, Rest};
use ag_types::{Clock, RunId, RunKey, RunStatus, SessionId, SystemClock, SystemScope};

use super::*;
use crate::testkit::{Node, Seed, columns, record, segments};

const WORK: SystemScope = SystemScope::new("test");

/// A stream with its frames as (cursor or end).
struct Reader(Follow);

#[derive(Debug, PartialEq)]
enum Frame {
    Step(i64),
    Beat,
    Done(i64),
    Retry,
}

impl Reader {
    async fn open(node: &Node, run: RunId, after: i64) -> Self {
        let options = FollowOptions {
            scope: node.scope.clone(),
            run,
            after,
            heartbeat: Duration::from_secs(5),
            place: None,
        };
        let follow = Follow::open(node.state.streams(), options)
            .await
            .expect("store")
            .expect("run");
        Self(follow)
    }

    /// The frames of the next chunk.
    async fn next(&mut self) -> Option<Vec<Frame>> {
        let chunk = tokio::time::timeout(Duration::from_secs(60), self.0.next())
            .await
            .expect("in time")?;
        let text = String::from_utf8(chunk.to_vec()).expect("UTF-8");
        Some(text.split_terminator("\n\n").map(frame).collect())
    }

    /// The frames up to the end of the stream.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frames) = self.next().await {
            all.extend(frames);
        }
        all
    }
}

fn frame(text: &str) -> Frame {
    let number = |key: &str| {
        let (_, rest) = text.split_once(key).expect(key);
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .expect("number")
    };
    match text {
        ": keep-alive" => Frame::Beat,
        text if text.starts_with("retry: ") => Frame::Retry,
        text if text.starts_with("event: done\n") => Frame::Done(number("\"cursor\": ")),
        text => {
            assert!(
                text.starts_with("id: ") && text.contains("\nevent: step\ndata: {\"cursor\": "),
                "{text}"
            );
            assert_eq!(number("id: "), number("\"cursor\": "));
            Frame::Step(number("id: "))
        }
    }
}

/// A run in the hands of a runner of the test.
struct Held {
    key: RunKey,
    session: SessionId,
    epoch: i64,
    rev: i32,
    last_seq: i64,
}

impl Held {
    async fn claim(node: &Node, run: RunId, records: i64) -> Self {
        let session = SessionId(7);
        let key = RunKey {
            run,
            plane: node.scope.plane,
        };
        let new = NewSession {
            id: session,
            pool: "default".into(),
            node: "test".into(),
        };
        node.store.open_session(&WORK, new).await.expect("session");
        let claim = node
            .store
            .claim(&WORK, session, &[key], &[])
            .await
            .expect("claim");
        let held = claim.runs.first().expect("claimed");
        Self {
            key,
            session,
            epoch: held.epoch,
            rev: held.rev,
            last_seq: records,
        }
    }

    /// Commits records; the feed is told by the test, or not.
    async fn commit(&mut self, node: &Node, records: i64, rest: Rest) {
        let lines = (self.last_seq + 1..=self.last_seq + records)
            .map(|seq| record(self.key.run, seq))
            .collect();
        self.commit_lines(node, lines, rest).await;
    }

    async fn commit_lines(&mut self, node: &Node, lines: Vec<String>, rest: Rest) {
        let records = lines.len() as i64;
        let status = if rest == Rest::Terminal {
            RunStatus::Completed
        } else {
            RunStatus::Running
        };
        let seed = Seed {
            status,
            ..Seed::default()
        };
        let commit = Commit {
            session: self.session,
            key: self.key,
            epoch: self.epoch,
            rev: self.rev,
            rest,
            seen: 0,
            progress: true,
            pool: None,
            columns: columns(&seed, SystemClock.now()),
            segments: segments(&lines, self.last_seq),
            last_seq: self.last_seq + records,
            children: vec![],
            mail: vec![],
            outcomes: vec![],
            artifacts: vec![],
            owners: vec![],
            memory: vec![],
        };
        node.store.commit(&WORK, commit).await.expect("committed");
        self.last_seq += records;
        self.rev += 1;
    }

    async fn tell(&self, node: &Node, seqs: std::ops::RangeInclusive<i64>) {
        let item = |seq| FeedItem::Record {
            seq,
            line: Some(record(self.key.run, seq).into()),
        };
        node.feed.publish(self.key, seqs.map(item).collect()).await;
    }

    async fn end(&self, node: &Node) {
        node.feed
            .publish(
                self.key,
                vec![FeedItem::Terminal {
                    last_seq: self.last_seq,
                }],
            )
            .await;
    }
}

async fn ready_run(node: &Node, records: i64) -> (RunId, Held) {
    let run = node
        .store_run(Seed {
            status: RunStatus::Running,
            records,
            ..Seed::default()
        })
        .await;
    (run, Held::claim(node, run, records).await)
}

fn steps(range: std::ops::RangeInclusive<i64>) -> Vec<Frame> {
    range.map(Frame::Step).collect()
}

#[tokio::test]
async fn a_finished_run_is_replayed_and_done() {
    let node = Node::new();
    let run = node
        .store_run(Seed {
            status: RunStatus::Completed,
            records: 7,
            ..Seed::default()
        })
        .await;
    for (after, first, cursor) in [(0, 1, 7), (5, 6, 7), (7, 8, 7), (99, 100, 99)] {
        let mut expected = steps(first..=7);
        expected.push(Frame::Done(cursor));
        assert_eq!(
            Reader::open(&node, run, after).await.rest().await,
            expected,
            "after {after}"
        );
    }
}

#[tokio::test]
async fn long_ledgers_come_in_pieces() {
    let node = Node::new();
    let run = node
        .store_run(Seed {
            status: RunStatus::Failed,
            records: 1_000,
            ..Seed::default()
        })
        .await;
    let mut expected = steps(1..=1_000);
    expected.push(Frame::Done(1_000));
    assert_eq!(Reader::open(&node, run, 0).await.rest().await, expected);
}

/// What a node holds for a client that takes nothing does not grow with the size of the records.
#[tokio::test]
async fn pieces_of_large_records_are_small() {
    const LARGE: usize = 30_000;
    let node = Node::new();
    let (run, mut held) = ready_run(&node, 0).await;
    let large = |seq| {
        let text = "x".repeat(LARGE);
        record(run, seq).replacen("\"effect\":null", &format!("\"effect\":\"{text}\""), 1)
    };
    held.commit_lines(&node, (1..=200).map(large).collect(), Rest::Terminal)
        .await;
    let mut reader = Reader::open(&node, run, 0).await;
    let mut all = Vec::new();
    while let Some(piece) = reader.0.next().await {
        assert!(piece.len() < 64 * 1024 + 2 * LARGE, "{} bytes", piece.len());
        let text = String::from_utf8(piece.to_vec()).expect("UTF-8");
        all.extend(text.split_terminator("\n\n").map(frame));
    }
    let mut expected = steps(1..=200);
    expected.push(Frame::Done(200));
    assert_eq!(all, expected);
}

#[tokio::test]
async fn live_records_follow_the_replay_once() {
    let node = Node::new();
    let (run, mut held) = ready_run(&node, 2).await;
    let mut reader = Reader::open(&node, run, 0).await;
    // Told before the replay was read: the feed repeats what the store gave.
    held.commit(&node, 1, Rest::Keep).await;
    held.tell(&node, 1..=3).await;
    assert_eq!(reader.next().await, Some(steps(1..=2)));
    assert_eq!(reader.next().await, Some(steps(3..=3)));
    held.commit(&node, 2, Rest::Terminal).await;
    held.tell(&node, 4..=5).await;
    held.end(&node).await;
    let mut expected = steps(4..=5);
    expected.push(Frame::Done(5));
    assert_eq!(reader.rest().await, expected);
}

#[tokio::test]
async fn gaps_are_filled_from_the_store() {
    let node = Node::new();
    let (run, mut held) = ready_run(&node, 1).await;
    let mut reader = Reader::open(&node, run, 0).await;
    assert_eq!(reader.next().await, Some(steps(1..=1)));
    held.commit(&node, 3, Rest::Keep).await;
    held.tell(&node, 4..=4).await;
    assert_eq!(reader.next().await, Some(steps(2..=4)), "2 and 3 were lost");
    held.commit(&node, 1, Rest::Keep).await;
    node.feed
        .publish(held.key, vec![FeedItem::Record { seq: 5, line: None }])
        .await;
    assert_eq!(reader.next().await, Some(steps(5..=5)), "too large to be carried");
    // More than the feed keeps for a slow reader.
    held.commit(&node, 400, Rest::Terminal).await;
    held.tell(&node, 6..=405).await;
    held.end(&node).await;
    let mut expected = steps(6..=405);
    expected.push(Frame::Done(405));
    assert_eq!(reader.rest().await, expected);
}

#[tokio::test]
async fn an_end_without_its_records_is_no_end() {
    let node = Node::new();
    let (run, mut held) = ready_run(&node, 0).await;
    let mut reader = Reader::open(&node, run, 0).await;
    let waiting = tokio::spawn(async move { reader.rest().await });
    tokio::task::yield_now().await;
    held.commit(&node, 2, Rest::Terminal).await;
    held.end(&node).await;
    let mut expected = steps(1..=2);
    expected.push(Frame::Done(2));
    assert_eq!(waiting.await.expect("task"), expected);
}

#[tokio::test(start_paused = true)]
async fn quiet_streams_beat_and_are_found_by_the_sweep() {
    let node = Node::new();
    let (run, mut held) = ready_run(&node, 0).await;
    let mut reader = Reader::open(&node, run, 0).await;
    let since = tokio::time::Instant::now();
    assert_eq!(reader.next().await, Some(vec![Frame::Beat]));
    assert_eq!(since.elapsed(), Duration::from_secs(5));
    // Committed, and nobody says so.
    held.commit(&node, 2, Rest::Keep).await;
    node.state.streams().sweep(false).await.expect("sweep");
    assert_eq!(reader.next().await, Some(steps(1..=2)));
    held.commit(&node, 1, Rest::Terminal).await;
    let sweeper = tokio::spawn(node.state.streams().clone().sweep_quiet());
    let mut all = reader.rest().await;
    all.retain(|frame| *frame != Frame::Beat);
    assert_eq!(all, [Frame::Step(3), Frame::Done(3)]);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    sweeper.abort();
}

#[tokio::test]
async fn a_purged_run_ends_its_streams() {
    let node = Node::new();
    let (run, _) = ready_run(&node, 1).await;
    let mut reader = Reader::open(&node, run, 1).await;
    node.store.purge_runs(&node.scope, &[run]).await.expect("purged");
    // The first page was read when the stream was opened; then the sweep says that the run is gone.
    let streams = node.state.streams().clone();
    streams.sweep(true).await.expect("sweep");
    assert_eq!(reader.rest().await, []);
    drop(reader);
    assert!(streams.quiet.is_empty(), "nothing is watched any more");
}

#[tokio::test]
async fn a_drain_ends_streams() {
    let node = Node::new();
    let (run, _) = ready_run(&node, 0).await;
    let mut reader = Reader::open(&node, run, 0).await;
    node.state.draining().cancel();
    assert_eq!(reader.rest().await, [Frame::Retry]);
}

#[tokio::test]
async fn there_is_no_stream_of_an_unknown_run() {
    let node = Node::new();
    let run = "00000000-0000-4000-8000-000000000001".parse().expect("id");
    let options = FollowOptions {
        scope: node.scope.clone(),
        run,
        after: 0,
        heartbeat: Duration::from_secs(1),
        place: None,
    };
    let streams: &Arc<Streams> = node.state.streams();
    assert!(Follow::open(streams, options).await.expect("store").is_none());
}

/// S4: five thousand clients of a hundred runs on one node. A record reaches every one of them; so does one that nobody
/// announced, by one look for all; and nothing is left behind when they go.
#[tokio::test]
async fn five_thousand_streams_on_a_node() {
    const RUNS: usize = 100;
    const CLIENTS: usize = 50;
    let node = Node::new();
    let mut runs = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..RUNS {
        let (run, held) = ready_run(&node, 1).await;
        for _ in 0..CLIENTS {
            readers.push(Reader::open(&node, run, 0).await);
        }
        runs.push(held);
    }
    let all = async |readers: &mut Vec<Reader>, expected: &[Frame]| {
        for reader in readers.iter_mut() {
            let mut frames = reader.next().await.expect("open");
            frames.retain(|frame| *frame != Frame::Beat);
            assert_eq!(frames, expected);
        }
    };
    all(&mut readers, &[Frame::Step(1)]).await;
    for held in &mut runs {
        held.commit(&node, 1, Rest::Keep).await;
        held.tell(&node, 2..=2).await;
    }
    all(&mut readers, &[Frame::Step(2)]).await;
    // Announced to nobody.
    for held in &mut runs {
        held.commit(&node, 1, Rest::Keep).await;
    }
    let streams = node.state.streams().clone();
    assert_eq!(
        streams.quiet.len(),
        RUNS,
        "one entry per run, however many clients"
    );
    streams.sweep(true).await.expect("sweep");
    all(&mut readers, &[Frame::Step(3)]).await;
    for held in &mut runs {
        held.commit(&node, 0, Rest::Terminal).await;
        held.end(&node).await;
    }
    all(&mut readers, &[Frame::Done(3)]).await;
    drop(readers);
    assert!(streams.quiet.is_empty());
}
