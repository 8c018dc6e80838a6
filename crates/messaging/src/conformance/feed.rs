//! Promises of a [`RunFeed`].

use std::time::Duration;

use ag_types::RunKey;
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::{Instant, timeout},
};

use super::{LIMIT, key, until};
use crate::{FeedItem, FeedSubscription, RunFeed};

/// A publication may take so long at most, whether or not anybody takes it.
const NO_WAIT: Duration = Duration::from_millis(500);

/// All promises that need no fault. `a` and `b` are two nodes.
///
/// # Panics
/// If a promise is broken.
pub async fn all(a: &dyn RunFeed, b: &dyn RunFeed) {
    until("healthy feeds", || a.healthy() && b.healthy()).await;
    items_reach_every_subscriber_in_order(a, b).await;
    runs_are_apart(a, b).await;
    a_subscription_begins_at_once(a, b).await;
    an_unheard_run_is_harmless(a, b).await;
    a_slow_reader_is_told(a, b).await;
}

/// The text of a record, as the ledger would have it.
#[must_use]
pub fn line(seq: i64) -> String {
    format!(r#"{{"seq":{seq},"value":1.0,"text":"ü \" \\ \u0001"}}"#)
}

/// A record.
#[must_use]
pub fn record(seq: i64) -> FeedItem {
    FeedItem::Record {
        seq,
        line: Some(line(seq).into()),
    }
}

/// Every subscriber of every node gets the same items, in order and to the byte, large ones without their text.
async fn items_reach_every_subscriber_in_order(a: &dyn RunFeed, b: &dyn RunFeed) {
    let run = key(1);
    let mut subscriptions = [
        a.subscribe(run).await,
        a.subscribe(run).await,
        b.subscribe(run).await,
    ];
    b.publish(run, (1..=60).map(record).collect()).await;
    b.publish(run, vec![record(61), FeedItem::Record { seq: 62, line: None }])
        .await;
    b.publish(run, vec![]).await;
    b.publish(run, vec![FeedItem::Terminal { last_seq: 62 }]).await;
    for subscription in &mut subscriptions {
        for wanted in 1..=62 {
            match next(subscription).await {
                FeedItem::Record {
                    seq,
                    line: Some(text),
                } if seq < 62 => {
                    assert_eq!((seq, &*text), (wanted, line(wanted).as_str()));
                }
                FeedItem::Record { seq: 62, line: None } => assert_eq!(wanted, 62),
                other => panic!("{other:?} instead of record {wanted}"),
            }
        }
        assert!(matches!(
            next(subscription).await,
            FeedItem::Terminal { last_seq: 62 }
        ));
    }
}

/// A subscription gets its own run only: same run id, other plane, is another run.
async fn runs_are_apart(a: &dyn RunFeed, b: &dyn RunFeed) {
    let mine = key(2);
    let mut other = mine;
    other.plane.0 += 1;
    let mut subscription = a.subscribe(mine).await;
    let mut others = a.subscribe(other).await;
    b.publish(other, vec![record(5)]).await;
    b.publish(key(3), vec![record(6)]).await;
    b.publish(mine, vec![record(7)]).await;
    assert_eq!(seq(&next(&mut subscription).await), 7);
    assert_eq!(seq(&next(&mut others).await), 5);
}

/// What is published after `subscribe` has returned is heard, also where subscriptions come and go; what was published
/// before is not.
async fn a_subscription_begins_at_once(a: &dyn RunFeed, b: &dyn RunFeed) {
    for round in 0..30 {
        let run = key(10 + round % 3);
        let (mut first, mut second) = (a.subscribe(run).await, a.subscribe(run).await);
        let seq_sent = i64::from(round) + 1;
        b.publish(run, vec![record(seq_sent)]).await;
        assert_eq!(seq(&next(&mut first).await), seq_sent);
        assert_eq!(seq(&next(&mut second).await), seq_sent);
        assert!(matches!(first.items.try_recv(), Err(TryRecvError::Empty)));
    }
}

/// Nobody listens: no call waits, and a later subscriber is not given the past.
async fn an_unheard_run_is_harmless(a: &dyn RunFeed, b: &dyn RunFeed) {
    let run = key(20);
    for seq in 1..=200 {
        quick(b.publish(run, vec![record(seq)])).await;
    }
    // An item of a run that is heard shows that the earlier ones have passed.
    let mut heard = a.subscribe(key(21)).await;
    b.publish(key(21), vec![record(1)]).await;
    next(&mut heard).await;
    let mut late = a.subscribe(run).await;
    b.publish(run, vec![record(201)]).await;
    assert_eq!(seq(&next(&mut late).await), 201);
}

/// A reader that does not read loses items and learns it; the others do not notice.
async fn a_slow_reader_is_told(a: &dyn RunFeed, b: &dyn RunFeed) {
    let run = key(30);
    let mut slow = a.subscribe(run).await;
    let mut quick_reader = a.subscribe(run).await;
    for from in (1..=2_000).step_by(50) {
        b.publish(run, (from..from + 50).map(record).collect()).await;
        for wanted in from..from + 50 {
            assert_eq!(seq(&next(&mut quick_reader).await), wanted);
        }
    }
    let told = timeout(LIMIT, slow.items.recv()).await.expect("a word in time");
    assert!(matches!(told, Err(RecvError::Lagged(_))), "{told:?}");
}

/// While the broker is away: nothing waits, and the feed says that it is ill.
///
/// # Panics
/// If a promise is broken.
pub async fn away(feed: &dyn RunFeed) {
    until("an unhealthy feed", || !feed.healthy()).await;
    for seq in 1..=100 {
        quick(feed.publish(key(40), vec![record(seq)])).await;
    }
    let subscribing = timeout(Duration::from_secs(2), feed.subscribe(key(41))).await;
    assert!(
        subscribing.is_ok(),
        "a subscription must not wait for an absent broker"
    );
}

/// After a fault: an old subscription hears new items again, and the feed becomes healthy. Returns the time that took.
///
/// # Panics
/// If that takes longer than [`LIMIT`].
pub async fn back(publisher: &dyn RunFeed, run: RunKey, old: &mut FeedSubscription) -> Duration {
    let start = Instant::now();
    let mut sent = 1_000_000;
    let hearing = async {
        loop {
            sent += 1;
            // What is published while the broker comes back may be lost; readers find it in the database.
            publisher.publish(run, vec![record(sent)]).await;
            match timeout(Duration::from_millis(50), old.items.recv()).await {
                Ok(Ok(item)) if seq(&item) > 1_000_000 => return,
                Ok(Err(RecvError::Closed)) => panic!("the subscription ended"),
                Ok(_) | Err(_) => {}
            }
        }
    };
    assert!(
        timeout(LIMIT, hearing).await.is_ok(),
        "nothing is heard after the fault"
    );
    until("a healthy feed", || publisher.healthy()).await;
    start.elapsed()
}

/// The next item.
///
/// # Panics
/// If none comes within [`LIMIT`], or some were lost.
pub async fn next(subscription: &mut FeedSubscription) -> FeedItem {
    let item = timeout(LIMIT, subscription.items.recv()).await;
    item.expect("an item in time").expect("no item lost")
}

fn seq(item: &FeedItem) -> i64 {
    match item {
        FeedItem::Record { seq, .. } => *seq,
        FeedItem::Terminal { last_seq } => *last_seq,
    }
}

async fn quick(publish: impl Future<Output = ()>) {
    assert!(
        timeout(NO_WAIT, publish).await.is_ok(),
        "a publication must not wait"
    );
}
