//! Two nodes limit together over one Redis server, and each alone while it is away.

use std::{sync::Arc, time::Duration};

use ag_auth::{PlaneKey, Pool};
use ag_messaging::{
    LocalCounters, SharedCounters,
    redis::{RedisCounters, RedisLink, RedisOptions},
};
use ag_testkit::ScratchRedis;
use axum::body::Body;
use http::{Request, StatusCode};

use super::{planes::PlaneCaps, *};
use crate::{
    Extensions,
    testkit::{Ground, Node, Seed, request},
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn counters(server: &ScratchRedis) -> Arc<dyn SharedCounters> {
    let link = RedisLink::open(&RedisOptions { url: server.url() }).expect("usable options");
    let counters = Arc::new(RedisCounters::new(&link));
    let connected = async {
        while !counters.healthy() {
            counters.get("anything").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected)
        .await
        .expect("connected");
    counters
}

/// Two nodes over one store and one Redis server.
async fn nodes(server: &ScratchRedis, change: impl Fn(&mut ag_config::Config)) -> [Node; 2] {
    let ground = Ground::default();
    let mut out = Vec::new();
    for _ in 0..2 {
        let ground = Ground {
            counters: counters(server).await,
            ..ground.clone()
        };
        out.push(Node::over(ground, &change, |_| Extensions::default()));
    }
    let b = out.pop().expect("two nodes");
    [out.pop().expect("two nodes"), b]
}

fn strict(config: &mut ag_config::Config) {
    config.auth.lockout_after = 3;
    config.auth.lockout_base_s = 60.0;
    config.auth.lockout_max_s = 60.0;
}

async fn guess(node: &Node) -> u16 {
    let request = Request::builder()
        .uri("/api/gateway/ping")
        .header("authorization", "Bearer wrong");
    let answer = node.send(request.body(Body::empty()).expect("request")).await;
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        let left: u64 = answer
            .header("retry-after")
            .expect("a time")
            .parse()
            .expect("seconds");
        assert!((50..=60).contains(&left), "{left} s");
    }
    answer.status.as_u16()
}

/// X7 on a cluster: guesses count wherever they arrive, the lock holds everywhere, and a valid token passes it.
#[tokio::test]
async fn nodes_lock_out_together() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let [a, b] = nodes(&server, strict).await;
    assert_eq!(guess(&a).await, 401);
    assert_eq!(guess(&b).await, 401);
    assert_eq!(
        guess(&a).await,
        429,
        "the third failure of the cluster, the second of this node"
    );
    assert_eq!(guess(&b).await, 429, "locked by the other node");
    for node in [&a, &b] {
        assert_eq!(node.get("/api/gateway/ping").await.status, StatusCode::OK);
    }
    // Both had seen failures and told everybody to forget them.
    let forgotten = async {
        while !server.command("KEYS count:auth:*").await.starts_with("*0") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten)
        .await
        .expect("forgotten");
    assert_eq!(guess(&b).await, 401);
}

/// Without Redis each node goes on with its own failures, and what it saw before stays.
#[tokio::test]
async fn a_node_alone_still_locks_out() {
    let Some(mut server) = ScratchRedis::start().await else {
        return;
    };
    let [a, b] = nodes(&server, strict).await;
    assert_eq!(guess(&a).await, 401);
    server.kill();
    assert_eq!(guess(&a).await, 401);
    assert_eq!(guess(&a).await, 429, "its own third");
    assert_eq!(guess(&b).await, 401, "its own first");
    server.restart().await;
    assert_eq!(guess(&a).await, 429, "an empty server opens nothing");
}

fn caps() -> PlaneCaps {
    PlaneCaps {
        requests: 3,
        streams: 2,
        per_minute: 0,
    }
}

fn plane(name: &str) -> PlaneKey {
    PlaneKey {
        tenant_id: name.to_owned(),
        runtime_id: "r".to_owned(),
    }
}

#[tokio::test]
async fn places_of_a_plane_are_counted_over_all_nodes() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let a = PlaneLimits::with_windows(caps(), counters(&server).await, || 7);
    let b = PlaneLimits::with_windows(caps(), counters(&server).await, || 7);
    let (noisy, other) = (plane("noisy"), plane("other"));
    let first = a
        .enter(Pool::Streams, &noisy)
        .await
        .expect("free")
        .expect("capped");
    let _second = b.enter(Pool::Streams, &noisy).await.expect("free");
    for limits in [&a, &b] {
        assert_eq!(
            limits.enter(Pool::Streams, &noisy).await.err(),
            Some(Refused::Places)
        );
    }
    assert!(
        a.enter(Pool::Requests, &noisy).await.is_ok(),
        "requests have places of their own"
    );
    assert!(
        b.enter(Pool::Streams, &other).await.is_ok(),
        "another plane is not refused"
    );
    drop(first);
    let freed = async {
        while b.enter(Pool::Streams, &noisy).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("a place that was given back");
}

/// The places of a node that died end with their window; those of the living are counted again.
#[tokio::test]
async fn dead_nodes_give_their_places_back() {
    let counters: Arc<dyn SharedCounters> = Arc::new(LocalCounters::default());
    let plane = plane("p");
    let dead = PlaneLimits::with_windows(caps(), counters.clone(), || 1);
    // Forgotten on purpose: nobody gives these back.
    let lost = [
        dead.enter(Pool::Streams, &plane).await.expect("free"),
        dead.enter(Pool::Streams, &plane).await.expect("free"),
    ];
    let before = PlaneLimits::with_windows(caps(), counters.clone(), || 1);
    assert_eq!(
        before.enter(Pool::Streams, &plane).await.err(),
        Some(Refused::Places)
    );
    let after = PlaneLimits::with_windows(caps(), counters.clone(), || 2);
    let _kept = after.enter(Pool::Streams, &plane).await.expect("a new window");
    let _kept = after.enter(Pool::Streams, &plane).await.expect("a new window");
    assert_eq!(
        after.enter(Pool::Streams, &plane).await.err(),
        Some(Refused::Places)
    );
    drop(lost);
}

/// Long streams are counted in every window, though nothing happens to them.
#[tokio::test]
async fn the_roll_is_called_in_each_window() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static WINDOW: AtomicU64 = AtomicU64::new(1);
    let counters: Arc<dyn SharedCounters> = Arc::new(LocalCounters::default());
    let plane = plane("p");
    let limits = PlaneLimits::with_windows(caps(), counters.clone(), || WINDOW.load(Ordering::SeqCst));
    let _long = [
        limits.enter(Pool::Streams, &plane).await.expect("free"),
        limits.enter(Pool::Streams, &plane).await.expect("free"),
    ];
    WINDOW.store(2, Ordering::SeqCst);
    limits.roll().await;
    let other = PlaneLimits::with_windows(caps(), counters, || 2);
    assert_eq!(
        other.enter(Pool::Streams, &plane).await.err(),
        Some(Refused::Places)
    );
}

#[tokio::test]
async fn a_plane_has_so_many_requests_in_a_minute() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let [a, b] = nodes(&server, |config| config.limits.max_plane_requests_per_minute = 3).await;
    for node in [&a, &b, &a] {
        assert_eq!(node.get("/api/gateway/ping").await.status, StatusCode::OK);
    }
    let refused = b.get("/api/gateway/ping").await;
    assert_eq!(
        refused.refusal(),
        (429, "Too Many Requests (rate limit)".to_owned())
    );
    let left: u64 = refused
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&left), "{left} s");
}

#[tokio::test]
async fn streams_of_a_plane_are_refused_on_any_node() {
    let Some(server) = ScratchRedis::start().await else {
        return;
    };
    let [a, b] = nodes(&server, |config| config.limits.max_plane_sse = 1).await;
    let run = a.store_run(Seed::default()).await;
    let path = format!("/api/gateway/runs/{run}/ledger/stream");
    let stream = || request("GET", &path).body(Body::empty()).expect("request");
    let first = a.open(stream()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let second = b.send(stream()).await;
    assert_eq!(
        second.refusal(),
        (429, "Too Many Requests (concurrency limit)".to_owned())
    );
    assert_eq!(second.header("retry-after"), Some("1"));
    drop(first);
    let freed = async {
        while b.open(stream()).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("the place was given back");
}
