//! The bell on a real NATS server: promises of the port, and what happens when the server does not keep its own.

use std::time::Duration;

use ag_messaging::{
    Bell, WakeUps,
    conformance::{self, LIMIT, key},
    nats::{NatsBell, NatsOptions},
};
use ag_testkit::ScratchNats;
use async_nats::jetstream;
use tokio::time::timeout;

/// Two nodes.
struct Nodes {
    a: NatsBell,
    b: NatsBell,
}

impl Nodes {
    async fn of(server: &ScratchNats) -> Self {
        let node = async || {
            let bell = NatsBell::connect(NatsOptions::new(server.url())).await;
            bell.expect("usable options")
        };
        let nodes = Self {
            a: node().await,
            b: node().await,
        };
        nodes.healthy().await;
        nodes
    }

    async fn healthy(&self) {
        conformance::until("healthy bells", || self.a.healthy() && self.b.healthy()).await;
    }

    /// A listener that has heard something.
    async fn listener(&self) -> Box<dyn WakeUps> {
        let mut listener = self.b.listen("default".into()).await;
        self.a.ring("default", &[key(1)]).await;
        let heard = async { while listener.next(8).await.iter().all(|hint| hint.key != key(1)) {} };
        timeout(LIMIT, heard).await.expect("a hint in time");
        listener
    }

    async fn back(&self, listener: &mut dyn WakeUps) {
        let took = conformance::bell::back(&self.a, &self.b, listener).await;
        assert!(
            took < Duration::from_secs(15),
            "{took:?} until the bell rang again"
        );
    }
}

async fn admin(server: &ScratchNats) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.expect("a connection"))
}

#[tokio::test]
async fn the_bell_conforms() {
    let Some(server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    conformance::bell::all(&nodes.a, &nodes.b).await;
}

#[tokio::test]
async fn what_the_broker_keeps_is_as_documented() {
    let Some(server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    let _listener = nodes.listener().await;
    let stream = admin(&server)
        .await
        .get_stream("GATEWAY_WAKE")
        .await
        .expect("the stream");
    let config = &stream.cached_info().config;
    assert_eq!(config.retention, jetstream::stream::RetentionPolicy::WorkQueue);
    assert_eq!(config.storage, jetstream::stream::StorageType::Memory);
    assert_eq!(config.discard, jetstream::stream::DiscardPolicy::Old);
    assert_eq!(config.max_age, Duration::from_secs(60));
    assert_eq!(config.subjects, ["wake.>"]);
    let consumer = stream
        .consumer_info("default")
        .await
        .expect("the pool's consumer");
    assert_eq!(consumer.config.filter_subject, "wake.default.*");
    assert_eq!(consumer.config.durable_name.as_deref(), Some("default"));
    assert_eq!(
        consumer.config.ack_policy,
        jetstream::consumer::AckPolicy::Explicit
    );
}

#[tokio::test]
async fn what_was_handed_out_is_not_handed_out_again() {
    let Some(server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    let _listener = nodes.listener().await;
    let mut stream = admin(&server)
        .await
        .get_stream("GATEWAY_WAKE")
        .await
        .expect("the stream");
    let empty = async {
        while stream.info().await.expect("the stream").state.messages > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, empty)
        .await
        .expect("acknowledged messages leave a work queue");
}

/// N1: killed and started again with its store.
#[tokio::test]
async fn a_restarted_server_is_used_again() {
    let Some(mut server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    let mut listener = nodes.listener().await;
    server.kill();
    conformance::bell::away(&nodes.b, &mut *listener).await;
    server.restart().await;
    nodes.back(&mut *listener).await;
}

/// N2: the store is gone.
#[tokio::test]
async fn a_wiped_server_is_used_again() {
    let Some(mut server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    let mut listener = nodes.listener().await;
    server.kill();
    server.wipe();
    server.restart().await;
    nodes.back(&mut *listener).await;
}

/// N4: stream or consumer vanish under a listener that waits.
#[tokio::test]
async fn what_vanished_is_created_again() {
    let Some(server) = ScratchNats::start().await else {
        return;
    };
    let nodes = Nodes::of(&server).await;
    let mut listener = nodes.listener().await;
    let admin = admin(&server).await;
    admin.delete_stream("GATEWAY_WAKE").await.expect("the stream");
    nodes.back(&mut *listener).await;
    let stream = admin.get_stream("GATEWAY_WAKE").await.expect("the stream, again");
    // The waiting pull must be there when its consumer goes.
    let _ = timeout(Duration::from_millis(50), listener.next(1)).await;
    stream.delete_consumer("default").await.expect("the consumer");
    nodes.back(&mut *listener).await;
}

/// A bell may be made before its broker.
#[tokio::test]
async fn an_absent_server_may_come_later() {
    let Some(mut server) = ScratchNats::start().await else {
        return;
    };
    server.kill();
    let connect = async || {
        NatsBell::connect(NatsOptions::new(server.url()))
            .await
            .expect("usable options")
    };
    let nodes = Nodes {
        a: connect().await,
        b: connect().await,
    };
    assert!(!nodes.a.healthy());
    let mut listener = nodes.b.listen("default".into()).await;
    conformance::bell::away(&nodes.b, &mut *listener).await;
    server.restart().await;
    nodes.back(&mut *listener).await;
}

#[tokio::test]
async fn addresses_are_checked_and_not_repeated() {
    let options = NatsOptions::new("nats://user:secret@:x:y");
    assert!(!format!("{options:?}").contains("secret"));
    let Err(error) = NatsBell::connect(options).await else {
        panic!("a bad address was taken")
    };
    assert!(!format!("{error} {error:?}").contains("secret"));
}
