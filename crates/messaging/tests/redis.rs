//! Feed and counters on a real Redis server: promises of the ports, and what happens when the server is lost.

use std::time::Duration;

use ag_messaging::{
    Expiry, RunFeed, SharedCounters,
    conformance::{
        self, LIMIT,
        feed::{next, record},
        key, until,
    },
    redis::{RedisCounters, RedisFeed, RedisLink, RedisOptions},
};
use ag_testkit::ScratchRedis;
use tokio::time::timeout;

fn link(server: &ScratchRedis) -> RedisLink {
    RedisLink::open(&RedisOptions { url: server.url() }).expect("usable options")
}

/// Two nodes.
fn feeds(server: &ScratchRedis) -> (RedisFeed, RedisFeed) {
    (RedisFeed::new(&link(server)), RedisFeed::new(&link(server)))
}

async fn eventually(server: &ScratchRedis, command: &str, wanted: &str) {
    let asking = async {
        while !server.command(command).await.contains(wanted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = timeout(LIMIT, asking).await;
    assert!(reached.is_ok(), "{command} never answered {wanted:?}");
}

#[tokio::test]
async fn the_feed_conforms() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let (a, b) = feeds(&server);
    conformance::feed::all(&a, &b).await;
}

#[tokio::test]
async fn the_counters_conform() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let (a, b) = (
        RedisCounters::new(&link(&server)),
        RedisCounters::new(&link(&server)),
    );
    until("healthy counters", || a.healthy() && b.healthy()).await;
    conformance::counters::all(&a, &b).await;
}

/// However many clients: one subscription per node, and none once they are gone.
#[tokio::test]
async fn an_unheard_run_has_no_subscription() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let (a, b) = feeds(&server);
    until("healthy feeds", || a.healthy() && b.healthy()).await;
    let channel = format!("feed:{}:{}", key(1).plane.0, key(1).run);
    let count = format!("PUBSUB NUMSUB {channel}");
    let mut clients = Vec::new();
    for feed in [&a, &a, &a, &b] {
        clients.push(feed.subscribe(key(1)).await);
    }
    assert!(server.command(&count).await.contains(":2\r"), "one per node");
    clients.pop();
    eventually(&server, &count, ":1\r").await;
    clients.clear();
    eventually(&server, &count, ":0\r").await;
    let mut again = a.subscribe(key(1)).await;
    b.publish(key(1), vec![record(9)]).await;
    next(&mut again).await;
}

/// S1: `CLIENT KILL TYPE pubsub`, more than once.
#[tokio::test]
async fn killed_subscriptions_come_back() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let (a, b) = feeds(&server);
    until("healthy feeds", || a.healthy() && b.healthy()).await;
    let mut old = a.subscribe(key(1)).await;
    for _ in 0..3 {
        eventually(&server, "CLIENT KILL TYPE pubsub", ":1\r").await;
        until("a feed that says what it lost", || !a.healthy()).await;
    }
    let took = conformance::feed::back(&b, key(1), &mut old).await;
    assert!(took < Duration::from_secs(15), "{took:?} until the feed was back");
    until("a healthy feed", || a.healthy()).await;
}

/// S1: killed and started again, empty.
#[tokio::test]
async fn a_restarted_server_is_used_again() {
    let Some(mut server) = ScratchRedis::start().await else {
        return;
    };
    let (a, b) = feeds(&server);
    until("healthy feeds", || a.healthy() && b.healthy()).await;
    let mut old = a.subscribe(key(1)).await;
    server.kill();
    conformance::feed::away(&a).await;
    let mut made_meanwhile = a.subscribe(key(2)).await;
    server.restart().await;
    let took = conformance::feed::back(&b, key(1), &mut old).await;
    assert!(took < Duration::from_secs(15), "{took:?} until the feed was back");
    b.publish(key(2), vec![record(1)]).await;
    next(&mut made_meanwhile).await;
}

/// The node's own share answers while the server is away, and requests do not wait for it.
#[tokio::test]
async fn counters_go_on_without_the_server() {
    let Some(mut server) = ScratchRedis::start().await else {
        return;
    };
    let link_a = link(&server);
    let (a, b) = (RedisCounters::new(&link_a), RedisCounters::new(&link(&server)));
    until("healthy counters", || a.healthy() && b.healthy()).await;
    let window = Expiry::Fixed(Duration::from_secs(600));
    a.add("k", 2, window).await;
    assert_eq!(b.add("k", 5, window).await.value, 7);
    server.kill();
    let counting = async {
        assert_eq!(a.add("k", 1, window).await.value, 3, "its own share");
        for _ in 0..200 {
            a.add("k", 1, window).await;
        }
        assert_eq!(a.get("k").await.value, 203);
    };
    timeout(Duration::from_secs(5), counting)
        .await
        .expect("requests must not wait one by one");
    assert!(!a.healthy());
    server.restart().await;
    let sharing = async {
        while !(a.healthy() && b.healthy()) {
            a.get("k").await;
            b.get("k").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, sharing).await.expect("shared again");
    assert_eq!(a.add("new", 1, window).await.value, 1);
    assert_eq!(b.add("new", 1, window).await.value, 2);
}

#[tokio::test]
async fn addresses_are_checked_and_not_repeated() {
    let options = RedisOptions {
        url: "redis://user:secret@host:notaport/".to_owned(),
    };
    assert!(!format!("{options:?}").contains("secret"));
    let Err(error) = RedisLink::open(&options) else {
        panic!("a bad address was taken")
    };
    assert!(!format!("{error} {error:?}").contains("secret"));
}
